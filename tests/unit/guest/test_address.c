/* VGPU_SERVER: what is understood, and what is said when it is not. */
#include "guest/address.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char why[300];

static int try_server(const char *server, bool *can_share)
{
    setenv("VGPU_SERVER", server, 1);
    why[0] = '\0';
    return address_connect(can_share, why, sizeof why);
}

static void refuses_what_it_does_not_know(void **state)
{
    static const char *const servers[] = {
        "x",          "http://host",         "vsock:2",  "vsock:2:", "vsock::1", "vsock:a:1",
        "vsock:2:-1", "vsock:2:99999999999", "tcp:host", "tcp::1",   "tcp:",     "unix"};
    bool can_share;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        assert_int_equal(try_server(servers[i], &can_share), -1);
        assert_non_null(strstr(why, servers[i]));
        assert_null(strchr(why, '\n'));
    }
}

static void says_what_is_wrong_with_a_path(void **state)
{
    bool can_share;
    char longest[400] = "unix:/";
    memset(longest + 6, 'a', sizeof longest - 7);
    assert_int_equal(try_server("unix:/nonexistent/vgpu.sock", &can_share), -1);
    assert_non_null(strstr(why, "not registered"));
    assert_int_equal(try_server(longest, &can_share), -1);
    assert_true(strlen(why) < sizeof why);
}

static void shares_memory_over_unix_only(void **state)
{
    bool can_share = false;
    char folder[] = "/tmp/vgpu-address-XXXXXX", server[200];
    assert_non_null(mkdtemp(folder));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    snprintf(server, sizeof server, "unix:%s", address.sun_path);
    int fd = try_server(server, &can_share);
    assert_true(fd >= 0 && can_share);
    close(fd);
    setenv("VGPU_TRANSPORT", "stream", 1);
    fd = try_server(server, &can_share);
    assert_true(fd >= 0 && !can_share);
    close(fd);
    unsetenv("VGPU_TRANSPORT");
    close(listener);
    unlink(address.sun_path);
    rmdir(folder);
}

static void connects_over_tcp(void **state)
{
    bool can_share = true;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    char server[64];
    snprintf(server, sizeof server, "tcp:127.0.0.1:%u", ntohs(address.sin_port));
    int fd = try_server(server, &can_share);
    assert_true(fd >= 0 && !can_share);
    close(fd);
    close(listener);
    assert_int_equal(try_server(server, &can_share), -1);
    assert_non_null(strstr(why, "is vgpud listening there"));
}

static void takes_an_ipv6_address_in_brackets(void **state)
{
    bool can_share;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0)
        skip(); /* a machine without IPv6 */
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    char server[64];
    snprintf(server, sizeof server, "tcp:[::1]:%u", ntohs(address.sin6_port));
    int fd = try_server(server, &can_share);
    assert_true(fd >= 0);
    close(fd);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_it_does_not_know),     cmocka_unit_test(says_what_is_wrong_with_a_path),
        cmocka_unit_test(shares_memory_over_unix_only),      cmocka_unit_test(connects_over_tcp),
        cmocka_unit_test(takes_an_ipv6_address_in_brackets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
