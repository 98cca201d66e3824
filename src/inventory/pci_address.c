#include "inventory/source.h"

#include <stdio.h>

bool pci_address_normalize(const char *text, char address[VGPU_PCI_ADDRESS_BYTES])
{
    unsigned domain = 0;
    unsigned bus = 0;
    unsigned device = 0;
    unsigned function = 0;
    int used = -1;
    if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &used) != 4) {
        domain = 0;
        if (sscanf(text, "%2x:%2x.%1x%n", &bus, &device, &function, &used) != 3)
            return false;
    }
    if (text[used] != '\0')
        return false;
    snprintf(address, VGPU_PCI_ADDRESS_BYTES, "%04x:%02x:%02x.%x", domain, bus, device, function);
    return true;
}
