/* Probes of the file system: ways out of the root, and into what is not the zone's. */
#include "probe.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sched.h>
#include <linux/mount.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* The content of the host's canary begins with this; no file of a zone's does. */
#define MARK "canary:"

static int is_canary(int fd)
{
	char text[sizeof(MARK)] = {0};

	return read(fd, text, sizeof(MARK) - 1) == sizeof(MARK) - 1 && !strcmp(text, MARK);
}

static int finds_canary(int folder, const char *path)
{
	int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), found;

	if (fd == -1)
		return 0;
	found = is_canary(fd);
	close(fd);
	return found;
}

static void unhex(const char *text, struct file_handle *handle, int type)
{
	unsigned byte;

	handle->handle_type = type;
	handle->handle_bytes = 0;
	for (; *text && sscanf(text, "%2x", &byte) == 1; text += 2)
		handle->f_handle[handle->handle_bytes++] = (unsigned char)byte;
}

/* MOUNT TYPE HANDLE: opens a file of the host by its number rather than by its name (shocker). */
static void by_handle(const char *mount, const char *type, const char *hex, int flags)
{
	static char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	struct file_handle *handle = (struct file_handle *)space;
	int at = (int)TRY(open(mount, O_RDONLY | O_CLOEXEC));
	int fd;

	unhex(hex, handle, atoi(type));
	fd = (int)TRY(open_by_handle_at(at, handle, flags | O_CLOEXEC));
	if (flags & O_DIRECTORY ? !finds_canary(fd, "canary") : !is_canary(fd))
		held(0, "opened by handle, and something else");
	broke("the canary opened by its handle");
}

static void handle_file(char **arguments)
{
	by_handle(arguments[0], arguments[1], arguments[2], O_RDONLY);
}

static void handle_folder(char **arguments)
{
	by_handle(arguments[0], arguments[1], arguments[2], O_RDONLY | O_DIRECTORY);
}

static void climb(void)
{
	for (int step = 0; step < 64; step++)
		TRY(chdir(".."));
}

/* Takes the root off what it was mounted on, and enters the mount namespace anew: at what is its root now. */
static void take_off(const char *canary)
{
	int own = (int)TRY(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));

	TRY(umount2("/", MNT_DETACH));
	TRY(setns(own, CLONE_NEWNS));
	/* Where the zone's root was put together, over the host's folder. */
	umount2("/tmp", MNT_DETACH);
	if (finds_canary(AT_FDCWD, canary))
		broke("the canary read below what covered the host's root");
	held(ENOENT, "nothing of the host's below the root");
}

/* PATH: chroot into a folder while the working directory is outside of it, climb, and uncover what lies below. */
static void chroot_(char **arguments)
{
	char folder[] = "/tmp/probe-XXXXXX";

	if (!mkdtemp(folder))
		held(errno, "a folder to chroot into");
	TRY(chroot(folder));
	climb();
	TRY(chroot("."));
	if (finds_canary(AT_FDCWD, arguments[0]))
		broke("the canary read after climbing out");
	take_off(arguments[0]);
}

/* PATH: what lies below the root mount, without any climbing. */
static void uncover(char **arguments)
{
	if (finds_canary(AT_FDCWD, arguments[0]))
		broke("the canary is in sight");
	take_off(arguments[0]);
}

static void scan(const char *kind, const char *canary)
{
	DIR *all = opendir("/proc");
	struct dirent *entry;
	char path[512];
	int seen = 0, last = 0;

	if (!all)
		held(errno, "opendir /proc");
	while ((entry = readdir(all))) {
		int pid = atoi(entry->d_name), fd;

		if (!pid || pid == getpid())
			continue;
		seen++;
		snprintf(path, sizeof(path), "/proc/%d/%s/%s", pid, kind, canary);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd == -1) {
			last = errno;
			continue;
		}
		if (is_canary(fd))
			broke("the canary read by %s", path);
		close(fd);
	}
	held(last ? last : ENOENT, "%d processes looked at", seen);
}

static void process_root(char **arguments)
{
	scan("root", arguments[0]);
}

static void process_cwd(char **arguments)
{
	scan("cwd", arguments[0]);
}

/* NAME: a folder that a process of the host has open, or that came in by a descriptor of this one. */
static void descriptors(char **arguments)
{
	int seen = 0;

	for (int fd = 3; fd < 4096; fd++) {
		struct stat found;

		if (fstat(fd, &found) == -1)
			continue;
		seen++;
		if (S_ISDIR(found.st_mode) && finds_canary(fd, arguments[0]))
			broke("the canary read through descriptor %d", fd);
	}
	held(EBADF, "%d descriptors beyond the third", seen);
}

/* NAME: the working directory, or one above it, is the canary's. */
static void working_directory(char **arguments)
{
	char path[512] = "";

	for (int step = 0; step < 64; step++) {
		strcpy(path + 3 * step, "../");
		if (finds_canary(AT_FDCWD, arguments[0]))
			broke("the working directory is the canary's");
		strcpy(path + 3 * step + 3, arguments[0]);
		if (finds_canary(AT_FDCWD, path))
			broke("the canary read as %s", path);
	}
	held(ENOENT, "the working directory is the zone's");
}

/* FOLDER: a file system mounted here that others come to see. */
static void mount_over(char **arguments)
{
	TRY(mount("probe", arguments[0], "tmpfs", 0, "size=4k"));
	broke("mounted on %s", arguments[0]);
}

/* FOLDER: a mount that was made read-only made writable again, and its canary overwritten. */
static void remount_writable(char **arguments)
{
	struct mount_attr attribute = {.attr_clr = MOUNT_ATTR_RDONLY};
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/canary", arguments[0]);
	if ((fd = open(path, O_WRONLY | O_APPEND)) == -1) {
		int first = errno;

		mount(NULL, arguments[0], NULL, MS_REMOUNT | MS_BIND, NULL);
		mount(NULL, arguments[0], NULL, MS_REMOUNT, NULL);
		syscall(SYS_mount_setattr, AT_FDCWD, arguments[0], 0, &attribute, sizeof(attribute));
		if ((fd = open(path, O_WRONLY | O_APPEND)) == -1) {
			int second = errno;

			/* Or beside it: a new bind of what is below. */
			mount(arguments[0], "/mnt", NULL, MS_BIND, NULL);
			mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_BIND, NULL);
			if ((fd = open("/mnt/canary", O_WRONLY | O_APPEND)) == -1)
				held(second, "open to write (%s before the remount)", strerrorname_np(first));
		}
	}
	TRY(write(fd, "touched\n", 8));
	broke("the canary written to");
}

/* FOLDER FLAG: a flag that guards a mount taken off it. */
static void loosen(char **arguments)
{
	static const struct {
		const char *name;
		unsigned long kept, bit;
		uint64_t attribute;
	} flags[] = {
		{"nosuid", MS_NODEV | MS_NOEXEC, ST_NOSUID, MOUNT_ATTR_NOSUID},
		{"nodev", MS_NOSUID | MS_NOEXEC, ST_NODEV, MOUNT_ATTR_NODEV},
		{"noexec", MS_NOSUID | MS_NODEV, ST_NOEXEC, MOUNT_ATTR_NOEXEC},
		{"ro", MS_NOSUID | MS_NODEV | MS_NOEXEC, ST_RDONLY, MOUNT_ATTR_RDONLY},
	};
	struct statvfs found;

	for (size_t each = 0; each < sizeof(flags) / sizeof(*flags); each++) {
		struct mount_attr attribute = {.attr_clr = flags[each].attribute};
		int first = 0;

		if (strcmp(flags[each].name, arguments[1]))
			continue;
		if (mount(NULL, arguments[0], NULL, MS_REMOUNT | MS_BIND | flags[each].kept, NULL) == -1)
			first = errno;
		if (syscall(SYS_mount_setattr, AT_FDCWD, arguments[0], 0, &attribute, sizeof(attribute)) == -1 && !first)
			first = errno;
		TRY(statvfs(arguments[0], &found));
		if (found.f_flag & flags[each].bit)
			held(first, "remount %s", arguments[0]);
		broke("%s is no longer %s", arguments[0], flags[each].name);
	}
	fault("no such flag");
}

/* PLACE: a node of the kernel's log made here, and read from. */
static void open_log(const char *path)
{
	char text[8192];
	int fd = (int)TRY(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));

	if (read(fd, text, sizeof(text)) == -1 && errno != EPIPE && errno != EAGAIN)
		held(errno, "read %s", path);
	broke("the kernel's log read through %s", path);
}

static void mknod_(char **arguments)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/probe-node", arguments[0]);
	unlink(path);
	TRY(mknod(path, S_IFCHR | 0600, makedev(1, 11)));
	open_log(path);
}

static void mknod_alone(char **arguments)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/probe-node", arguments[0]);
	unlink(path);
	TRY(mknod(path, S_IFCHR | 0600, makedev(1, 11)));
	unlink(path);
	broke("a device node made");
}

/* PATH: a node that is there already. */
static void node(char **arguments)
{
	TRY(open(arguments[0], O_RDWR | O_NONBLOCK | O_CLOEXEC));
	broke("%s is open", arguments[0]);
}

/* PROGRAM: as a plain user, executes a set-user-ID program (this one) that tells who it is. */
static void suid(char **arguments)
{
	/* Opened before: a plain user may not find it. */
	int child, status, fd = (int)TRY(open(arguments[0], O_PATH));

	if (geteuid() == 0 && (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000)))
		held(errno, "become a plain user");
	child = (int)TRY(fork());
	if (child == 0) {
		char *words[] = {arguments[0], "am-i-root", NULL}, *none[] = {NULL};

		syscall(SYS_execveat, fd, "", words, none, AT_EMPTY_PATH);
		_exit(errno == EACCES ? 126 : 127);
	}
	TRY(waitpid(child, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
		broke("a plain user became root by %s", arguments[0]);
	held(EPERM, "%s ran without gaining anything (%#x)", arguments[0], status);
}

static void am_i_root(char **arguments)
{
	_exit(geteuid() == 0 ? 42 : 43);
}

/* FOLDER: what overlay reads from the layers written as its user would not: a redirect out of the layer. */
static void overlay_attribute(char **arguments)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/probe-folder", arguments[0]);
	rmdir(path);
	TRY(mkdir(path, 0755));
	if (setxattr(path, "user.overlay.redirect", "/../..", 6, 0) == -1) {
		int error = errno;

		rmdir(path);
		held(error, "setxattr user.overlay.redirect");
	}
	rmdir(path);
	broke("an attribute that directs overlay");
}

static void trusted_attribute(char **arguments)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/probe-folder", arguments[0]);
	rmdir(path);
	TRY(mkdir(path, 0755));
	if (setxattr(path, "trusted.overlay.opaque", "y", 1, 0) == -1) {
		int error = errno;

		rmdir(path);
		held(error, "setxattr trusted.overlay.opaque");
	}
	rmdir(path);
	broke("an attribute that only the host's root may set");
}

/* FILE SYSTEM: a file system that parses what is on a disk, which the zone could have made. */
static void filesystem(char **arguments)
{
	int context = (int)TRY(syscall(SYS_fsopen, arguments[0], 1));

	/* A disk that there is not is looked for only by those who may mount one. */
	TRY(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", "/no/such/disk", 0));
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == -1 && errno == EPERM)
		held(errno, "mount %s", arguments[0]);
	broke("%s can be mounted", arguments[0]);
}

/* FOLDER: a file that even root may not change any more. */
static void immutable(char **arguments)
{
	char path[512];
	int fd, flags;

	snprintf(path, sizeof(path), "%s/probe-file", arguments[0]);
	fd = (int)TRY(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	unlink(path);
	TRY(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= FS_IMMUTABLE_FL;
	TRY(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	flags &= ~FS_IMMUTABLE_FL;
	ioctl(fd, FS_IOC_SETFLAGS, &flags);
	broke("a file made immutable");
}

/* NAME: looks, for a while, at every process that appears: whose program, memory or folders are the host's? */
static void watch(char **arguments)
{
	char path[64], link[512];
	int last = 0, seen = 0;
	DIR *all;

	for (int round = 0; round < 400000; round++) {
		struct dirent *entry;

		if (!(all = opendir("/proc")))
			held(errno, "opendir /proc");
		while ((entry = readdir(all))) {
			int pid = atoi(entry->d_name), fd;

			if (!pid || pid == getpid())
				continue;
			seen++;
			snprintf(path, sizeof(path), "/proc/%d/mem", pid);
			snprintf(link, sizeof(link), "/proc/%d/exe", pid);
			fd = open(link, O_RDONLY | O_CLOEXEC);
			if (fd == -1) {
				if (errno != ENOENT)
					last = errno;
				continue;
			}
			close(fd);
			memset(link, 0, sizeof(link));
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			if (readlink(path, link, sizeof(link) - 1) > 0 && strstr(link, arguments[0]))
				broke("process %d shows %s", pid, link);
		}
		closedir(all);
		if (access("/tmp/enough", F_OK) == 0)
			break;
		usleep(20); /* who comes in is there for half a millisecond */
	}
	held(last ? last : ENOENT, "%d looks", seen);
}

/* PROGRAM: the file behind a running program opened to write, as CVE-2019-5736 did with that of the runtime. */
static void overwrite(char **arguments)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/exe", arguments[0]);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd == -1 && errno == ETXTBSY)
		broke("%s could be written once it has ended", path);
	if (fd == -1)
		held(errno, "open %s to write", path);
	broke("%s is open to write", path);
}

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"handle-file", 3, handle_file},
		{"handle-folder", 3, handle_folder},
		{"chroot", 1, chroot_},
		{"uncover", 1, uncover},
		{"process-root", 1, process_root},
		{"process-cwd", 1, process_cwd},
		{"descriptors", 1, descriptors},
		{"working-directory", 1, working_directory},
		{"mount-over", 1, mount_over},
		{"remount-writable", 1, remount_writable},
		{"loosen", 2, loosen},
		{"mknod", 1, mknod_},
		{"mknod-alone", 1, mknod_alone},
		{"node", 1, node},
		{"suid", 1, suid},
		{"am-i-root", 0, am_i_root},
		{"overlay-attribute", 1, overlay_attribute},
		{"trusted-attribute", 1, trusted_attribute},
		{"filesystem", 1, filesystem},
		{"immutable", 1, immutable},
		{"watch", 1, watch},
		{"overwrite", 1, overwrite},
		{0},
	};

	return dispatch(commands, argc, argv);
}
