#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "vgpu";
static enum log_level log_most_detailed = LOG_LEVEL_INFO;
static bool log_to_journal;

/* syslog(3) priorities, as sd-daemon(3) puts them in front of a line. */
static const char *const journal_prefix[] = {"<3>", "<4>", "<6>", "<7>"};
static const char *const level_word[] = {"error: ", "warning: ", "", "debug: "};

/* systemd.exec(5): JOURNAL_STREAM names the device and inode of a stream that goes to the journal, which
 * stderr need not be. */
static bool stderr_is_the_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat info;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

void log_init(const char *program, enum log_level most_detailed)
{
    log_program = program;
    log_most_detailed = most_detailed;
    log_to_journal = stderr_is_the_journal();
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > log_most_detailed)
        return;
    int saved_errno = errno;
    char line[1002];
    int used;
    if (log_to_journal) {
        used = snprintf(line, sizeof line, "%s", journal_prefix[level]);
    } else {
        struct timespec now;
        struct tm parts;
        clock_gettime(CLOCK_REALTIME, &now);
        localtime_r(&now.tv_sec, &parts);
        used = (int)strftime(line, sizeof line, "%H:%M:%S", &parts);
        used += snprintf(line + used, sizeof line - (size_t)used, ".%03ld %s[%d] %s", now.tv_nsec / 1000000,
                         log_program, (int)getpid(), level_word[level]);
    }
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + used, sizeof line - 1 - (size_t)used, format, args);
    va_end(args);
    size_t length = body < 0 ? (size_t)used : (size_t)used + (size_t)body;
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* a log that cannot be written has nowhere to say so */
    errno = saved_errno;
}
