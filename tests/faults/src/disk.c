// Stands between a program and its files, loaded before the C library: while the folder that LATCHKEY_DISK names holds a
// file called
//
//   full        no file can grow (ENOSPC), as on a disk without a free block: what it holds can be written over;
//   no-sync     no sync succeeds (EIO);
//   one-sync    the next one does not, and takes this file away.
//
// Each refusal adds a byte to the file `refused` there.
//
// System calls are made directly: what this stands in for cannot be called by its own name.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *path(char buffer[4096], const char *name) {
    const char *folder = getenv("LATCHKEY_DISK");
    snprintf(buffer, 4096, "%s/%s", folder ? folder : "/nonexistent", name);
    return buffer;
}

static int is_on(const char *name) {
    char buffer[4096];
    int before = errno;
    int on = syscall(SYS_faccessat, AT_FDCWD, path(buffer, name), F_OK) == 0;
    errno = before;
    return on;
}

static int refuse(int error) {
    char buffer[4096];
    int fd = syscall(SYS_openat, AT_FDCWD, path(buffer, "refused"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        syscall(SYS_write, fd, ".", 1);
        syscall(SYS_close, fd);
    }
    errno = error;
    return -1;
}

// Standard error may be a file, too, and is no store.
static int is_file(int fd, struct stat *found) {
    return fd != STDERR_FILENO && fstat(fd, found) == 0 && S_ISREG(found->st_mode);
}

static int has_no_room(int fd, off_t end) {
    struct stat found;
    return is_on("full") && is_file(fd, &found) && end > found.st_size;
}

static off_t place(int fd) {
    struct stat found;
    int flags = fcntl(fd, F_GETFL);
    if (flags != -1 && (flags & O_APPEND) && fstat(fd, &found) == 0) return found.st_size;
    return syscall(SYS_lseek, fd, (off_t)0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (has_no_room(fd, place(fd) + count)) return refuse(ENOSPC);
    return syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (has_no_room(fd, at + count)) return refuse(ENOSPC);
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int ftruncate64(int fd, off64_t length) {
    if (has_no_room(fd, length)) return refuse(ENOSPC);
    return syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int does_not_sync(void) {
    char buffer[4096];
    if (is_on("no-sync")) return 1;
    return is_on("one-sync") && syscall(SYS_unlinkat, AT_FDCWD, path(buffer, "one-sync"), 0) == 0;
}

int fsync(int fd) {
    if (does_not_sync()) return refuse(EIO);
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (does_not_sync()) return refuse(EIO);
    return syscall(SYS_fdatasync, fd);
}
