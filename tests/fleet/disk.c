/* A disk that can lose power, for LD_PRELOAD.
 *
 * Every change of a file below one folder is appended to a log, in the order in which
 * it happened: what was written, and when it was flushed. From that log a test derives
 * what a power cut would have left. On demand the disk is full, fails to flush, or the
 * process dies right before its n-th change. Files named *-shm are left out: SQLite
 * makes them anew.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096

static char folder[512], full_flag[600], eio_flag[600];
static size_t folder_length;
static int log_fd = -1;
static long changes, kill_at;
static int torn;
static char paths[FDS][256];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Called by the test's server after fork: log changes below `where` to `log_path`. */
int disk_begin(const char *where, const char *log_path, long die_at, int half) {
    REAL(open);
    snprintf(folder, sizeof folder, "%s", where);
    folder_length = strlen(folder);
    snprintf(full_flag, sizeof full_flag, "%s.full", log_path);
    snprintf(eio_flag, sizeof eio_flag, "%s.eio", log_path);
    changes = 0;
    kill_at = die_at;
    torn = half;
    log_fd = real(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    return log_fd;
}

static int watched(const char *path) {
    if (log_fd < 0 || !path || strncmp(path, folder, folder_length)) return 0;
    size_t n = strlen(path);
    return n < sizeof paths[0] && !(n > 4 && !strcmp(path + n - 4, "-shm"));
}

static void note(char op, const char *path, uint64_t offset, const void *data,
                 uint64_t size) {
    struct __attribute__((packed)) {
        char op;
        uint32_t path;
        uint64_t offset, size;
    } head = {op, (uint32_t)strlen(path), offset, size};
    struct iovec parts[3] = {{&head, sizeof head},
                             {(void *)path, head.path},
                             {(void *)data, data ? size : 0}};
    int saved = errno;
    if (writev(log_fd, parts, 3) < 0) _exit(98);
    errno = saved;
}

/* Count one change; die here if it is the one. Returns 1 to die after half of it. */
static int pass(int can_tear) {
    if (++changes != kill_at) return 0;
    if (can_tear && torn) return 1;
    kill(getpid(), SIGKILL);
    pause();
    return 0;
}

static void opened(int fd, const char *path, int existed) {
    if (fd < 0 || fd >= FDS || !watched(path)) return;
    pthread_mutex_lock(&lock);
    snprintf(paths[fd], sizeof paths[0], "%s", path);
    if (!existed) note('C', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        int existed = !watched(path) || access(path, F_OK) == 0; \
        int fd = real(path, flags, mode); \
        opened(fd, path, existed); \
        return fd; \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        int existed = !watched(path) || access(path, F_OK) == 0; \
        int fd = real(at, path, flags, mode); \
        opened(fd, path, existed); \
        return fd; \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    REAL(close);
    if (fd >= 0 && fd < FDS) paths[fd][0] = 0;
    return real(fd);
}

static const char *path_of(int fd) {
    return log_fd >= 0 && fd >= 0 && fd < FDS && paths[fd][0] ? paths[fd] : NULL;
}

#define PWRITE(name, type) \
    ssize_t name(int fd, const void *data, size_t size, type offset) { \
        REAL(name); \
        const char *path = path_of(fd); \
        if (!path) return real(fd, data, size, offset); \
        if (access(full_flag, F_OK) == 0) { \
            errno = ENOSPC; \
            return -1; \
        } \
        pthread_mutex_lock(&lock); \
        int half = pass(size > 1); \
        ssize_t done = real(fd, data, half ? size / 2 : size, offset); \
        if (done > 0) note('W', path, (uint64_t)offset, data, (uint64_t)done); \
        if (half) { \
            kill(getpid(), SIGKILL); \
            pause(); \
        } \
        pthread_mutex_unlock(&lock); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    const char *path = path_of(fd);
    if (!path) return real(fd, data, size);
    if (access(full_flag, F_OK) == 0) {
        errno = ENOSPC;
        return -1;
    }
    pthread_mutex_lock(&lock);
    pass(0);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real(fd, data, size);
    if (done > 0) note('W', path, (uint64_t)offset, data, (uint64_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

#define TRUNCATE(name, type) \
    int name(int fd, type size) { \
        REAL(name); \
        const char *path = path_of(fd); \
        if (!path) return real(fd, size); \
        pthread_mutex_lock(&lock); \
        pass(0); \
        int result = real(fd, size); \
        if (result == 0) note('T', path, (uint64_t)size, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name) \
    int name(int fd) { \
        REAL(name); \
        const char *path = path_of(fd); \
        if (!path) return real(fd); \
        pthread_mutex_lock(&lock); \
        pass(0); \
        int result = 0; \
        if (access(eio_flag, F_OK) == 0) { \
            note('E', path, 0, NULL, 0); \
            errno = EIO; \
            result = -1; \
        } else if ((result = real(fd)) == 0) { \
            note('S', path, 0, NULL, 0); \
        } \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    REAL(unlink);
    int ours = watched(path);
    if (!ours) return real(path);
    pthread_mutex_lock(&lock);
    pass(0);
    int result = real(path);
    if (result == 0) note('U', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (!watched(from) || !watched(to)) return real(from, to);
    pthread_mutex_lock(&lock);
    pass(0);
    int result = real(from, to);
    if (result == 0) note('R', from, 0, to, strlen(to));
    pthread_mutex_unlock(&lock);
    return result;
}
