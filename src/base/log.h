/* Log lines of the daemon and the worker: one line each on stderr, with systemd's level prefix when
 * stderr is the journal, with a timestamp otherwise. */
#ifndef VGPU_BASE_LOG_H
#define VGPU_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Program name for the line's front and the most detailed level to print. name is kept, not copied. Call
 * once before threads start. */
void log_init(const char *program, enum log_level most_detailed);

/* Any thread. A line is written with one write(2); lines of over 1,000 bytes are cut. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
