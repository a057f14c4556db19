/*
 * A simulated GPIO chip under real libgpiod: an LD_PRELOAD library that answers the character
 * device's system calls (linux/gpio.h, uAPI v2) of /dev/gpiochip0 and hands every line request to
 * a harness (fake_gpio.py), which plays the wires.
 *
 *   FAKE_GPIO_DIR/levels      one byte a line, shared by mmap: the level of each wire
 *   FAKE_GPIO_DIR/sock        the harness listens; the file descriptor of a line request IS a
 *                             stream socket to it: requests go out, edge events come in
 *   FAKE_GPIO_DIR/dev         what opendir("/dev") shows
 *
 *   cc -shared -fPIC -o gpio_shim.so gpio_shim.c -ldl
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINES = 64, FDS = 1024, MAJOR = 254 };
enum fd_kind { OTHER, CHIP, REQUEST };
enum tell { REQUESTED = 'R', VALUES_SET = 'S' };

static const char CHIP_PATH[] = "/dev/gpiochip0";
static const char LABEL[] = "pinctrl-fake";

static enum fd_kind kinds[FDS];
static struct gpio_v2_line_request *requests[FDS];
static struct gpio_v2_line_info lines[LINES];
static unsigned char *levels;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *in_dir(const char *name) {
  static __thread char path[256];
  snprintf(path, sizeof path, "%s/%s", getenv("FAKE_GPIO_DIR"), name);
  return path;
}

static int is_chip(const char *path) { return getenv("FAKE_GPIO_DIR") && !strcmp(path, CHIP_PATH); }

static int known(int fd) { return fd >= 0 && fd < FDS ? kinds[fd] : OTHER; }

/* --- what libgpiod looks at before it believes in a chip: open, stat, sysfs, /dev ------------- */

static int open_chip(void) {
  int fd = REAL(open)(in_dir("levels"), O_RDWR | O_CLOEXEC);
  if (fd < 0 || fd >= FDS) return fd;
  kinds[fd] = CHIP;
  if (!levels) levels = mmap(NULL, LINES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return is_chip(path) ? open_chip() : REAL(open)(path, flags, mode);
}

static int stat_chip(struct stat *st) {
  memset(st, 0, sizeof *st);
  st->st_mode = S_IFCHR | 0660;
  st->st_rdev = makedev(MAJOR, 0);
  return 0;
}

int stat(const char *path, struct stat *st) {
  return is_chip(path) ? stat_chip(st) : REAL(stat)(path, st);
}

int lstat(const char *path, struct stat *st) {
  return is_chip(path) ? stat_chip(st) : REAL(lstat)(path, st);
}

/* Wheels built against an older glibc call these instead. */
int __xstat(int version, const char *path, struct stat *st) {
  int (*real)(int, const char *, struct stat *) = dlsym(RTLD_NEXT, "__xstat");
  return is_chip(path) ? stat_chip(st) : real(version, path, st);
}

int __lxstat(int version, const char *path, struct stat *st) {
  int (*real)(int, const char *, struct stat *) = dlsym(RTLD_NEXT, "__lxstat");
  return is_chip(path) ? stat_chip(st) : real(version, path, st);
}

char *realpath(const char *path, char *resolved) {
  char subsystem[64];
  snprintf(subsystem, sizeof subsystem, "/sys/dev/char/%d:0/subsystem", MAJOR);
  if (!getenv("FAKE_GPIO_DIR") || strcmp(path, subsystem)) return REAL(realpath)(path, resolved);
  if (!resolved) resolved = malloc(4096);
  return resolved ? strcpy(resolved, "/sys/bus/gpio") : NULL;
}

DIR *opendir(const char *path) {
  int is_dev = getenv("FAKE_GPIO_DIR") && !strcmp(path, "/dev");
  return REAL(opendir)(is_dev ? in_dir("dev") : path);
}

/* --- lines ------------------------------------------------------------------------------------ */

static unsigned long long flags_of(const struct gpio_v2_line_request *req, unsigned index) {
  for (unsigned i = 0; i < req->config.num_attrs; i++) {
    const struct gpio_v2_line_config_attribute *attr = &req->config.attrs[i];
    if (attr->attr.id == GPIO_V2_LINE_ATTR_ID_FLAGS && attr->mask >> index & 1)
      return attr->attr.flags;
  }
  return req->config.flags;
}

static int active_low(const struct gpio_v2_line_request *req, unsigned index) {
  return (flags_of(req, index) & GPIO_V2_LINE_FLAG_ACTIVE_LOW) != 0;
}

/* A tag, then the request as the kernel would have got it. */
static int tell(int fd, const struct gpio_v2_line_request *req, enum tell what) {
  char message[1 + sizeof *req];
  message[0] = (char)what;
  memcpy(message + 1, req, sizeof *req);
  if (write(fd, message, sizeof message) == (ssize_t)sizeof message) return 0;
  errno = ENODEV;
  return -1;
}

static void drive(const struct gpio_v2_line_request *req, unsigned long long mask,
                  unsigned long long bits) {
  for (unsigned i = 0; i < req->num_lines; i++)
    if (mask >> i & 1) levels[req->offsets[i]] = (bits >> i & 1) ^ active_low(req, i);
}

/* The harness answers with one byte: 0, or the errno of its refusal (EBUSY). */
static int ask_harness(int fd, const struct gpio_v2_line_request *req) {
  unsigned char refusal = ENODEV;
  if (tell(fd, req, REQUESTED)) return errno;
  if (read(fd, &refusal, 1) != 1) return ENODEV;
  return refusal;
}

static int dial(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%.90s/sock", getenv("FAKE_GPIO_DIR"));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && fd < FDS && !connect(fd, (struct sockaddr *)&address, sizeof address)) return fd;
  errno = ENODEV;
  return -1;
}

static int request_lines(struct gpio_v2_line_request *req) {
  for (unsigned i = 0; i < req->num_lines; i++)
    if (req->offsets[i] >= LINES) {
      errno = EINVAL;
      return -1;
    }
  int fd = dial();
  if (fd < 0) return -1;
  int refusal = ask_harness(fd, req);
  if (refusal) {
    close(fd);
    errno = refusal;
    return -1;
  }
  for (unsigned i = 0; i < req->num_lines; i++) {
    struct gpio_v2_line_info *line = &lines[req->offsets[i]];
    line->flags = flags_of(req, i) | GPIO_V2_LINE_FLAG_USED;
    memcpy(line->consumer, req->consumer, sizeof line->consumer);
  }
  for (unsigned i = 0; i < req->config.num_attrs; i++) {
    const struct gpio_v2_line_config_attribute *attr = &req->config.attrs[i];
    if (attr->attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES)
      drive(req, attr->mask, attr->attr.values);
  }
  requests[fd] = malloc(sizeof *req);
  *requests[fd] = *req;
  kinds[fd] = REQUEST;
  req->fd = fd;
  return tell(fd, req, VALUES_SET); /* whoever waits for an output's level looks again */
}

static void release(int fd) {
  struct gpio_v2_line_request *req = requests[fd];
  for (unsigned i = 0; i < req->num_lines; i++)
    memset(&lines[req->offsets[i]], 0, sizeof lines[0]);
  free(req);
  requests[fd] = NULL;
}

int close(int fd) {
  if (known(fd) == REQUEST) release(fd);
  if (known(fd)) kinds[fd] = OTHER;
  return REAL(close)(fd);
}

/* --- ioctl ------------------------------------------------------------------------------------ */

static int chip_info(struct gpiochip_info *info) {
  memset(info, 0, sizeof *info);
  strcpy(info->name, "gpiochip0");
  strcpy(info->label, LABEL);
  info->lines = LINES;
  return 0;
}

static int line_info(struct gpio_v2_line_info *info) {
  unsigned offset = info->offset;
  if (offset >= LINES) {
    errno = EINVAL;
    return -1;
  }
  *info = lines[offset];
  info->offset = offset;
  snprintf(info->name, sizeof info->name, "GPIO%u", offset);
  return 0;
}

static int get_values(const struct gpio_v2_line_request *req, struct gpio_v2_line_values *values) {
  values->bits = 0;
  for (unsigned i = 0; i < req->num_lines; i++)
    if (values->mask >> i & 1 && levels[req->offsets[i]] ^ active_low(req, i))
      values->bits |= 1ULL << i;
  return 0;
}

static int chip_ioctl(unsigned long number, void *arg) {
  switch (number) {
  case GPIO_GET_CHIPINFO_IOCTL: return chip_info(arg);
  case GPIO_V2_GET_LINEINFO_IOCTL: return line_info(arg);
  case GPIO_V2_GET_LINE_IOCTL: return request_lines(arg);
  }
  errno = ENOTTY;
  return -1;
}

static int request_ioctl(int fd, unsigned long number, struct gpio_v2_line_values *values) {
  switch (number) {
  case GPIO_V2_LINE_GET_VALUES_IOCTL: return get_values(requests[fd], values);
  case GPIO_V2_LINE_SET_VALUES_IOCTL:
    drive(requests[fd], values->mask, values->bits);
    return tell(fd, requests[fd], VALUES_SET);
  }
  errno = ENOTTY;
  return -1;
}

int ioctl(int fd, unsigned long number, ...) {
  va_list more;
  va_start(more, number);
  void *arg = va_arg(more, void *);
  va_end(more);
  number &= 0xFFFFFFFFUL; /* callers may sign-extend */
  switch (known(fd)) {
  case CHIP: return chip_ioctl(number, arg);
  case REQUEST: return request_ioctl(fd, number, arg);
  }
  return REAL(ioctl)(fd, number, arg);
}
