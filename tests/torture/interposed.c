/* Stands between a program and the C library, and watches what the program does to the files of one folder.
 *
 * Loaded by LD_PRELOAD. It can record each change with its data, kill the process before a change, and let changes or
 * reads fail, as a failing disk would. tests/torture/interposed.py builds it and gives the orders:
 *
 *   INTERPOSED_FOLDER   the folder; files outside are left alone, and so is `-shm`, which no disk keeps
 *   INTERPOSED_CONTROL  a file of `struct control`, mapped by whoever gives the orders, who may change them at any time
 *   INTERPOSED_LOG      where changes are recorded, in the order in which they were made
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    int64_t changes;    /* made so far, by all processes */
    int64_t kill_at;    /* SIGKILL before this change; 0: never */
    int64_t is_torn;    /* of a write, make the first half before the kill */
    int64_t kinds;      /* which kinds may fail: a bit for each letter, from a */
    int64_t matching;   /* operations of these kinds so far */
    int64_t fail_from;  /* the first of them that fails; 0: none */
    int64_t fail_until; /* the last */
    int64_t error;      /* the errno; 0: a write is short instead */
    int64_t failed;     /* failed so far */
    int64_t records;    /* whether to record */
};

/* A record of the log. It is followed by two paths, and the data of a write. */
struct record {
    int32_t kind;
    int32_t error; /* the errno, 0 if it was done */
    int64_t file;  /* the number of an open file, or 0 */
    int64_t offset;
    int64_t length;
    int32_t path_length, other_length;
};

enum { FILES = 8192 };
static int64_t numbers[FILES]; /* of watched files, by their descriptor; 0: not watched */
static int64_t last_number;
static char folder[PATH_MAX];
static size_t folder_length;
static struct control *control;
static int log_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void broken(const char *what) {
    perror(what);
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *place = getenv("INTERPOSED_FOLDER"), *file = getenv("INTERPOSED_CONTROL"), *log = getenv("INTERPOSED_LOG");
    if (!place || !file || !log) return;
    int descriptor = REAL(open)(file, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) broken(file);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (control == MAP_FAILED) broken(file);
    REAL(close)(descriptor);
    descriptor = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_file = fcntl(descriptor, F_DUPFD_CLOEXEC, 900); /* out of the program's way */
    if (log_file < 0) broken(log);
    REAL(close)(descriptor);
    snprintf(folder, sizeof folder, "%s", place);
    folder_length = strlen(folder);
}

/* Which files are watched */

static int is_watched(const char *path) {
    if (!control || strncmp(path, folder, folder_length) || (path[folder_length] && path[folder_length] != '/')) return 0;
    size_t length = strlen(path);
    return length < 4 || strcmp(path + length - 4, "-shm");
}

static int64_t number_of(int descriptor) {
    return descriptor >= 0 && descriptor < FILES ? numbers[descriptor] : 0;
}

static void path_of_descriptor(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

/* Write into `path` where a name leads that is relative to an open folder, or to the current one. */
static void absolute(int at, const char *name, char *path) {
    path[0] = 0;
    if (name[0] != '/') {
        if (at == AT_FDCWD) {
            if (!getcwd(path, PATH_MAX)) path[0] = 0;
        } else {
            path_of_descriptor(at, path);
        }
        strncat(path, "/", PATH_MAX - strlen(path) - 1);
    }
    strncat(path, name, PATH_MAX - strlen(path) - 1);
}

/* Recording, killing, failing: called with the lock held */

static void record(char kind, int error, int64_t file, int64_t offset, const char *path, const char *other,
                   const void *data, size_t length) {
    if (!control->records) return;
    struct record head = {kind, error, file, offset, length, strlen(path), strlen(other)};
    struct iovec parts[] = {{&head, sizeof head},
                            {(void *)path, head.path_length},
                            {(void *)other, head.other_length},
                            {(void *)data, data ? length : 0}};
    if (REAL(writev)(log_file, parts, 4) < (ssize_t)sizeof head) broken("the log of changes");
}

/* Return whether an operation of a kind fails now. */
static int fails(char kind) {
    if (!(control->kinds >> (kind - 'a') & 1)) return 0;
    int64_t number = __atomic_add_fetch(&control->matching, 1, __ATOMIC_SEQ_CST);
    if (!control->fail_from || number < control->fail_from || number > control->fail_until) return 0;
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    return 1;
}

/* Count a change. Return whether this is the one to be killed at. */
static int is_last(void) { return __atomic_add_fetch(&control->changes, 1, __ATOMIC_SEQ_CST) == control->kill_at; }

static void die(void) {
    kill(getpid(), SIGKILL);
    pause();
}

/* Do one change, unless it is to fail or the process to die before it. Its result is -1 for an error. */
#define CHANGE(type, kind, file, offset, path, other, data, length, call) \
    do { \
        pthread_mutex_lock(&lock); \
        if (is_last()) die(); \
        type result = -1; \
        if (fails(kind) && control->error) errno = control->error; \
        else result = (call); \
        int error = errno; \
        record(kind, result == (type)-1 ? error : 0, file, offset, path, other, data, length); \
        pthread_mutex_unlock(&lock); \
        errno = error; \
        return result; \
    } while (0)

/* Opening and closing */

static int opened(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    absolute(at, name, path);
    if (!is_watched(path)) return REAL(openat)(at, name, flags, mode);
    pthread_mutex_lock(&lock);
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT, error = 0, descriptor = -1;
    if (flags & (O_CREAT | O_TRUNC) && is_last()) die();
    if (writes && fails('o') && control->error) error = control->error;
    else descriptor = REAL(openat)(at, name, flags, mode), error = errno;
    if (descriptor >= FILES) broken("too many files");
    if (descriptor >= 0) numbers[descriptor] = (int64_t)getpid() << 32 | ++last_number;
    record('o', descriptor < 0 ? error : 0, number_of(descriptor), flags, path, "", NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return descriptor;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int descriptor) {
    if (number_of(descriptor)) numbers[descriptor] = 0;
    return REAL(close)(descriptor);
}

/* Writing */

static ssize_t written(int descriptor, const void *data, size_t length, off64_t offset, int moves) {
    pthread_mutex_lock(&lock);
    if (is_last()) {
        if (control->is_torn) REAL(pwrite64)(descriptor, data, length / 2, offset);
        die();
    }
    ssize_t result = -1;
    int fail = fails('w');
    if (fail && control->error) {
        errno = control->error;
    } else {
        if (fail) length = (length + 1) / 2;
        result = REAL(pwrite64)(descriptor, data, length, offset);
        if (moves && result > 0) lseek64(descriptor, offset + result, SEEK_SET);
    }
    int error = errno;
    record('w', result < 0 ? error : 0, numbers[descriptor], offset, "", "", data, result < 0 ? 0 : result);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

/* Where the next write to a file goes. */
static off64_t position(int descriptor) {
    struct stat status;
    if (fcntl(descriptor, F_GETFL) & O_APPEND && !fstat(descriptor, &status)) return status.st_size;
    return lseek64(descriptor, 0, SEEK_CUR);
}

ssize_t write(int descriptor, const void *data, size_t length) {
    if (number_of(descriptor)) return written(descriptor, data, length, position(descriptor), 1);
    if (control && control->records && (descriptor == STDOUT_FILENO || descriptor == STDERR_FILENO)) {
        pthread_mutex_lock(&lock); /* what the program says, in the order of what it does */
        record('e', 0, descriptor, 0, "", "", data, length);
        pthread_mutex_unlock(&lock);
    }
    return REAL(write)(descriptor, data, length);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    if (number_of(descriptor)) return written(descriptor, data, length, offset, 0);
    return REAL(pwrite64)(descriptor, data, length, offset);
}
ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    return pwrite64(descriptor, data, length, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (!number_of(descriptor)) return REAL(writev)(descriptor, parts, count);
    ssize_t total = 0;
    for (int part = 0; part < count; part++) {
        ssize_t one = write(descriptor, parts[part].iov_base, parts[part].iov_len);
        if (one < 0) return total ? total : -1;
        total += one;
        if ((size_t)one < parts[part].iov_len) break;
    }
    return total;
}

int ftruncate64(int descriptor, off64_t length) {
    if (!number_of(descriptor)) return REAL(ftruncate64)(descriptor, length);
    CHANGE(int, 't', numbers[descriptor], length, "", "", NULL, 0, REAL(ftruncate64)(descriptor, length));
}
int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

/* Syncing */

int fsync(int descriptor) {
    if (!number_of(descriptor)) return REAL(fsync)(descriptor);
    CHANGE(int, 's', numbers[descriptor], 0, "", "", NULL, 0, REAL(fsync)(descriptor));
}
int fdatasync(int descriptor) {
    if (!number_of(descriptor)) return REAL(fdatasync)(descriptor);
    CHANGE(int, 's', numbers[descriptor], 0, "", "", NULL, 0, REAL(fdatasync)(descriptor));
}

/* Names */

int renameat(int old_at, const char *old, int new_at, const char *new) {
    char from[PATH_MAX], to[PATH_MAX];
    absolute(old_at, old, from);
    absolute(new_at, new, to);
    if (!is_watched(from) && !is_watched(to)) return REAL(renameat)(old_at, old, new_at, new);
    CHANGE(int, 'n', 0, 0, from, to, NULL, 0, REAL(renameat)(old_at, old, new_at, new));
}
int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int unlinkat(int at, const char *name, int flags) {
    char path[PATH_MAX];
    absolute(at, name, path);
    if (!is_watched(path)) return REAL(unlinkat)(at, name, flags);
    CHANGE(int, 'u', 0, flags, path, "", NULL, 0, REAL(unlinkat)(at, name, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int linkat(int old_at, const char *old, int new_at, const char *new, int flags) {
    char from[PATH_MAX], to[PATH_MAX];
    absolute(old_at, old, from);
    absolute(new_at, new, to);
    if (!is_watched(from) && !is_watched(to)) return REAL(linkat)(old_at, old, new_at, new, flags);
    CHANGE(int, 'l', 0, 0, from, to, NULL, 0, REAL(linkat)(old_at, old, new_at, new, flags));
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int mkdirat(int at, const char *name, mode_t mode) {
    char path[PATH_MAX];
    absolute(at, name, path);
    if (!is_watched(path)) return REAL(mkdirat)(at, name, mode);
    CHANGE(int, 'd', 0, 0, path, "", NULL, 0, REAL(mkdirat)(at, name, mode));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Reading, which changes nothing, but may fail */

#define READ(call) \
    if (number_of(descriptor)) { \
        pthread_mutex_lock(&lock); \
        int fail = fails('r') && control->error; \
        pthread_mutex_unlock(&lock); \
        if (fail) { \
            errno = control->error; \
            return -1; \
        } \
    } \
    return (call)

ssize_t read(int descriptor, void *data, size_t length) { READ(REAL(read)(descriptor, data, length)); }
ssize_t pread64(int descriptor, void *data, size_t length, off64_t offset) {
    READ(REAL(pread64)(descriptor, data, length, offset));
}
ssize_t pread(int descriptor, void *data, size_t length, off_t offset) {
    return pread64(descriptor, data, length, offset);
}
