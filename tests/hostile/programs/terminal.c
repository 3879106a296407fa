/* Probes of terminals, the environment, and of sockets that are not in a file system. */
#include "probe.h"

#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

/* Standard input is a terminal, and the controlling one: a character typed at it by a program. */
static void push(unsigned long request)
{
	char letter = 'x';

	TRY(syscall(SYS_ioctl, 0, request, &letter));
	broke("a character typed");
}

static void tiocsti(char **arguments)
{
	push(TIOCSTI);
}

/* The kernel looks at the lower half of the request alone (CVE-2019-10063). */
static void tiocsti_high(char **arguments)
{
	push(TIOCSTI | 1UL << 32);
}

static void tioclinux(char **arguments)
{
	char which = 6; /* which keys are held down: changes nothing */

	if (syscall(SYS_ioctl, 0, TIOCLINUX, &which) == -1 && errno != ENOTTY)
		held(errno, "TIOCLINUX");
	broke("a request for the console gets to the terminal");
}

static void controlling(char **arguments)
{
	int fd = (int)TRY(open("/dev/tty", O_RDWR | O_CLOEXEC));

	TRY(tcgetpgrp(fd));
	broke("the controlling terminal opened");
}

/* NAME: a variable of the caller's. */
static void variable(char **arguments)
{
	if (!getenv(arguments[0]))
		held(ENOENT, "no %s", arguments[0]);
	broke("%s=%s", arguments[0], getenv(arguments[0]));
}

/* NAME: a socket of the host's in the abstract namespace. */
static void abstract(char **arguments)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = (int)TRY(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	size_t length = strlen(arguments[0]);

	memcpy(address.sun_path + 1, arguments[0], length);
	TRY(connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)));
	broke("connected to @%s", arguments[0]);
}

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"tiocsti", 0, tiocsti},
		{"tiocsti-high", 0, tiocsti_high},
		{"tioclinux", 0, tioclinux},
		{"controlling", 0, controlling},
		{"variable", 1, variable},
		{"abstract", 1, abstract},
		{0},
	};

	return dispatch(commands, argc, argv);
}
