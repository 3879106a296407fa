/* What the programs of hostile probes have in common: a verdict as one line, and sub-commands.
 *
 * A probe ends by saying "broke", "held" or "vacuous", a tab, the name of the errno ("-" for none), a tab, and what it
 * has done or failed at. Anything else is a fault of the probe's. Nothing here changes what it cannot put back: what
 * is written is what was read, and what is asked of the kernel is asked for with arguments that do nothing.
 */
#ifndef PROBE_H
#define PROBE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static void verdict(const char *word, int error, const char *format, va_list rest)
{
	const char *name = error ? strerrorname_np(error) : "-";

	printf("%s\t%s\t", word, name ? name : "?");
	vprintf(format, rest);
	printf("\n");
	fflush(stdout);
}

#define VERDICT(word, error)                        \
	va_list rest;                               \
	va_start(rest, format);                     \
	verdict(word, error, format, rest);         \
	va_end(rest)

static void __attribute__((noreturn, format(printf, 1, 2), unused)) broke(const char *format, ...)
{
	VERDICT("broke", 0);
	exit(0);
}

static void __attribute__((noreturn, format(printf, 2, 3), unused)) held(int error, const char *format, ...)
{
	VERDICT("held", error);
	exit(1);
}

static void __attribute__((noreturn, format(printf, 1, 2), unused)) vacuous(const char *format, ...)
{
	VERDICT("vacuous", 0);
	exit(2);
}

static void __attribute__((noreturn, format(printf, 1, 2), unused)) fault(const char *format, ...)
{
	VERDICT("fault", 0);
	exit(3);
}

/* The value of a call that must not fail for the attack to go on. */
#define TRY(call)                               \
	({                                      \
		long _value = (long)(call);     \
		if (_value == -1)               \
			held(errno, "%s", #call); \
		_value;                         \
	})

struct command {
	const char *name;
	int arguments;
	void (*run)(char **arguments);
};

static int __attribute__((unused)) dispatch(const struct command *commands, int argc, char **argv)
{
	if (argc < 2)
		fault("no sub-command");
	for (; commands->name; commands++) {
		if (strcmp(commands->name, argv[1]))
			continue;
		if (argc - 2 != commands->arguments)
			fault("%s takes %d arguments", argv[1], commands->arguments);
		commands->run(argv + 2);
		fault("%s came to no verdict", argv[1]);
	}
	fault("no sub-command %s", argv[1]);
}

/* Reads up to `size` - 1 bytes of a file as a text; the attack has failed where it cannot. */
static size_t __attribute__((unused)) read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got;

	if (fd == -1)
		held(errno, "open %s", path);
	got = read(fd, text, size - 1);
	if (got == -1)
		held(errno, "read %s", path);
	close(fd);
	text[got] = '\0';
	return (size_t)got;
}

/* Writes to a file what is there already. */
static void __attribute__((unused)) write_back(const char *path)
{
	char text[4096];
	size_t length = read_text(path, text, sizeof(text));
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		held(errno, "open %s to write", path);
	if (write(fd, text, length) == -1)
		held(errno, "write %s", path);
	close(fd);
	broke("%s can be written", path);
}

#endif
