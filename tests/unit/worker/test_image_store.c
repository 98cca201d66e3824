/* Images of code kept by content. */
#include "worker/image_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT 400000u
#define IMAGE 90000u

static char run_dir[] = "/tmp/vgpu-store-XXXXXX";
static uint8_t image[IMAGE], found[2 * IMAGE];

static void make_image(unsigned number)
{
    for (unsigned i = 0; i < IMAGE; i++)
        image[i] = (uint8_t)(i * number + i / 256);
}

static void digest_of_image(uint8_t digest[BLAKE2B_BYTES])
{
    struct blake2b blake2b;
    blake2b_begin(&blake2b);
    blake2b_add(&blake2b, image, sizeof image);
    blake2b_end(&blake2b, digest);
}

static bool is_kept(unsigned number)
{
    uint8_t digest[BLAKE2B_BYTES];
    make_image(number);
    digest_of_image(digest);
    bool has = image_store_has(digest, sizeof image);
    memset(found, 0, sizeof found);
    bool read = image_store_read(digest, found, sizeof image);
    assert_int_equal(has, read);
    if (read)
        assert_memory_equal(found, image, sizeof image);
    return read;
}

/* Calls visit with the path of each file. */
static void each_file(void (*visit)(const char *path))
{
    char folder[100], path[400];
    snprintf(folder, sizeof folder, "%s/images", run_dir);
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            visit(path);
    }
    closedir(entries);
}

static void remove_file(const char *path)
{
    unlink(path);
}

static int begin(void **state)
{
    each_file(remove_file);
    return 0;
}

static void what_was_added_is_found(void **state)
{
    uint8_t digest[BLAKE2B_BYTES];
    assert_false(is_kept(1));
    make_image(1);
    image_store_add(image, sizeof image);
    image_store_add(image, sizeof image);
    assert_true(is_kept(1));
    assert_false(is_kept(2));
    make_image(1);
    digest_of_image(digest);
    assert_false(image_store_read(digest, found, sizeof image - 1));
    assert_false(image_store_read(digest, found, sizeof image + 1));
}

static void spoil(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0400);
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "spoilt", 6, 1000), 6);
    close(fd);
}

static void what_is_not_what_its_name_says_is_removed(void **state)
{
    uint8_t digest[BLAKE2B_BYTES];
    make_image(3);
    image_store_add(image, sizeof image);
    each_file(spoil);
    digest_of_image(digest);
    assert_false(image_store_read(digest, found, sizeof image));
    assert_false(image_store_has(digest, sizeof image));
    image_store_add(image, sizeof image);
    assert_true(is_kept(3));
}

static void the_longest_unused_make_room(void **state)
{
    for (unsigned number = 10; number < 14; number++) {
        make_image(number);
        image_store_add(image, sizeof image);
        usleep(20000); /* times of files are as coarse as the kernel's clock */
    }
    assert_true(is_kept(10)); /* used again */
    usleep(20000);
    make_image(14);
    image_store_add(image, sizeof image);
    assert_true(is_kept(14));
    assert_true(is_kept(10));
    assert_false(is_kept(11));
    assert_true(is_kept(13));
}

static void what_is_too_large_is_not_kept(void **state)
{
    static uint8_t large[LIMIT / 4 + 1];
    uint8_t digest[BLAKE2B_BYTES];
    struct blake2b blake2b;
    image_store_add(large, sizeof large);
    blake2b_begin(&blake2b);
    blake2b_add(&blake2b, large, sizeof large);
    blake2b_end(&blake2b, digest);
    assert_false(image_store_has(digest, sizeof large));
}

static int make_store(void **state)
{
    if (mkdtemp(run_dir) == NULL)
        return -1;
    image_store_open(run_dir, LIMIT);
    return 0;
}

static int remove_store(void **state)
{
    char folder[100];
    each_file(remove_file);
    snprintf(folder, sizeof folder, "%s/images", run_dir);
    return rmdir(folder) | rmdir(run_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_added_is_found, begin),
        cmocka_unit_test_setup(what_is_not_what_its_name_says_is_removed, begin),
        cmocka_unit_test_setup(the_longest_unused_make_room, begin),
        cmocka_unit_test_setup(what_is_too_large_is_not_kept, begin),
    };
    return cmocka_run_group_tests(tests, make_store, remove_store);
}
