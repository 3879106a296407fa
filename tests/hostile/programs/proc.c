/* Probes of /proc and /sys: what they tell of the host, and what can be set there. */
#include "probe.h"

#include <sys/mount.h>
#include <sys/wait.h>

static void write_(char **arguments)
{
	write_back(arguments[0]);
}

/* MOUNT PATH: written after the mount has been made writable, if that can be. */
static void remounted(char **arguments)
{
	mount(NULL, arguments[0], NULL, MS_REMOUNT | MS_BIND, NULL);
	mount(NULL, arguments[0], NULL, MS_REMOUNT, NULL);
	write_back(arguments[1]);
}

/* PATH: a file of the kernel's that says something; a mask reads as empty. */
static void read_(char **arguments)
{
	static char text[1 << 16];

	if (read_text(arguments[0], text, sizeof(text)) == 0)
		held(0, "%s is empty", arguments[0]);
	broke("%s says %zu bytes", arguments[0], strlen(text));
}

/* PATH: what masks it taken away first. */
static void unmask(char **arguments)
{
	static char text[1 << 16];
	int first = 0;

	if (umount2(arguments[0], MNT_DETACH) == -1)
		first = errno;
	if (read_text(arguments[0], text, sizeof(text)) == 0)
		held(first, "%s is still empty", arguments[0]);
	broke("%s says %zu bytes", arguments[0], strlen(text));
}

/* FILE SYSTEM PATH: a new instance of the kernel's file system, without what masks the other, and a file in it. */
static void anew(char **arguments)
{
	static char text[1 << 16];
	char path[512];

	if (mkdir("/tmp/probe-anew", 0755) == -1 && errno != EEXIST)
		held(errno, "mkdir");
	TRY(mount("probe", "/tmp/probe-anew", arguments[0], 0, NULL));
	snprintf(path, sizeof(path), "/tmp/probe-anew/%s", arguments[1]);
	if (read_text(path, text, sizeof(text)) == 0)
		held(0, "%s is empty", path);
	umount2("/tmp/probe-anew", MNT_DETACH);
	broke("%s of a new %s says %zu bytes", arguments[1], arguments[0], strlen(text));
}

/* FILE SYSTEM: it can be mounted at all. */
static void mount_(char **arguments)
{
	if (mkdir("/tmp/probe-mount", 0755) == -1 && errno != EEXIST)
		held(errno, "mkdir");
	TRY(mount("probe", "/tmp/probe-mount", arguments[0], 0, NULL));
	umount2("/tmp/probe-mount", MNT_DETACH);
	broke("%s mounted", arguments[0]);
}

/* An address of the kernel's that is not hidden. */
static void addresses(char **arguments)
{
	static char text[4096];
	char *line;

	read_text("/proc/kallsyms", text, sizeof(text));
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strtoull(line, NULL, 16))
			broke("the kernel is at %.16s", line);
	held(0, "no address in /proc/kallsyms");
}

/* Prints help into the kernel's log, and does no more. */
static void sysrq(char **arguments)
{
	int fd = (int)TRY(open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC));

	TRY(write(fd, "h", 1));
	broke("a key of the host's console pressed");
}

/* PID: the memory of a process opened. */
static void memory(char **arguments)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/mem", arguments[0]);
	TRY(open(path, O_RDWR | O_CLOEXEC));
	broke("%s is open", path);
}

/* PID WORD: the environment of a process read. */
static void environment(char **arguments)
{
	static char text[1 << 17];
	char path[64];
	size_t length;

	snprintf(path, sizeof(path), "/proc/%s/environ", arguments[0]);
	length = read_text(path, text, sizeof(text));
	if (!memmem(text, length, arguments[1], strlen(arguments[1])))
		held(ENOENT, "%s lacks %s", path, arguments[1]);
	broke("%s has %s", path, arguments[1]);
}

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"write", 1, write_},
		{"remounted", 2, remounted},
		{"read", 1, read_},
		{"unmask", 1, unmask},
		{"anew", 2, anew},
		{"mount", 1, mount_},
		{"addresses", 0, addresses},
		{"sysrq", 0, sysrq},
		{"memory", 1, memory},
		{"environment", 2, environment},
		{0},
	};

	return dispatch(commands, argc, argv);
}
