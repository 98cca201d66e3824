#include "fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int fixture_open(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory,
             "/tmp/vgpu-lib-XXXXXX"); /* short: it holds sockets */
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    snprintf(fixture->state_dir, sizeof fixture->state_dir, "%s/state", fixture->directory);
    snprintf(fixture->run_dir, sizeof fixture->run_dir, "%s/run", fixture->directory);
    mkdir(fixture->run_dir, 0755);
    fixture->listener = -1;
    fixture->options = (struct vgpu_options){
        .config_file = "/dev/null",
        .state_dir = fixture->state_dir,
        .run_dir = fixture->run_dir,
        .driver = "simulated",
    };
    setenv("VGPU_SIM_GPUS", "NVIDIA H100 80GB PCIe*2", 1);
    setenv("VGPU_SIM_SEED", "libvgpu-tests", 1);
    unsetenv("VGPU_SIM_HIDE");
    *state = fixture;
    return vgpu_open(&fixture->options, &fixture->vgpu, &fixture->err) == VGPU_OK ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
    return remove(path);
}

int fixture_close(void **state)
{
    struct fixture *fixture = *state;
    fixture_stop_daemon(fixture);
    vgpu_close(fixture->vgpu);
    nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

void assert_refused(const struct fixture *fixture, enum vgpu_status got, enum vgpu_status wanted,
                    const char *words)
{
    assert_int_equal(got, wanted);
    assert_int_equal(fixture->err.status, wanted);
    if (strstr(fixture->err.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.message, words);
    assert_null(strchr(fixture->err.message, '\n'));
}

static void serve(struct fixture *fixture, int connection)
{
    char request[128] = "";
    size_t length = 0;
    ssize_t got = 0;
    while (length < sizeof request - 1 && strchr(request, '\n') == NULL &&
           (got = recv(connection, request + length, sizeof request - 1 - length, 0)) > 0)
        length += (size_t)got;
    if (fixture->request_count < PLAYED_REQUESTS_MAX)
        memcpy(fixture->requests[fixture->request_count++], request, sizeof request);
    if (fixture->silent)
        recv(connection, request, 1, 0); /* until the other side goes */
    const char *rest = fixture->silent || fixture->answer == NULL ? "" : fixture->answer;
    for (size_t left = strlen(rest); left > 0; left -= (size_t)got, rest += got) {
        got = send(connection, rest, left, MSG_NOSIGNAL);
        if (got <= 0)
            break;
    }
    close(connection);
}

static void *play(void *argument)
{
    struct fixture *fixture = argument;
    int connection;
    while ((connection = accept(fixture->listener, NULL, NULL)) >= 0)
        serve(fixture, connection);
    return NULL;
}

void fixture_play_daemon(struct fixture *fixture, const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    fixture_stop_daemon(fixture);
    fixture->answer = answer;
    fixture->request_count = 0;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/admin.sock", fixture->run_dir);
    unlink(address.sun_path);
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fixture->listener, 8), 0);
    assert_int_equal(pthread_create(&fixture->thread, NULL, play, fixture), 0);
    fixture->playing = true;
}

void fixture_stop_daemon(struct fixture *fixture)
{
    if (!fixture->playing)
        return;
    shutdown(fixture->listener, SHUT_RDWR); /* wakes accept() */
    pthread_join(fixture->thread, NULL);
    close(fixture->listener);
    fixture->playing = false;
}
