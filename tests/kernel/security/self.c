/* What a program finds of itself when it begins, a line each; built statically by the tests, and run in zones. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static void descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[4096];

	while (folder && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(folder))
			continue;
		ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);
		printf("fd %s=%.*s\n", entry->d_name, (int)(length < 0 ? 0 : length), target);
	}
}

static void signals(void)
{
	struct sigaction action;
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int number = 1; number < 65; number++) {
		if (sigismember(&blocked, number) == 1)
			printf("blocked %d\n", number);
		if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
			printf("ignored %d\n", number);
	}
}

static void capabilities(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, "Cap", 3))
			fputs(line, stdout);
}

/* Make keys until there may be no more. */
static int fill(void)
{
	char name[32];
	int made = 0;

	for (; made < 100000; made++) {
		snprintf(name, sizeof(name), "key%d", made);
		if (syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0)
			break;
	}
	printf("made %d\nreason %s\n", made, strerror(errno));
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	char folder[4096];
	int death = -1, terminal = open("/dev/tty", O_RDWR);

	if (argc > 1 && !strcmp(argv[1], "fill"))
		return fill();
	for (int i = 1; i < argc; i++)
		printf("argument %s\n", argv[i]);
	printf("terminal %s\n", terminal < 0 ? strerror(errno) : ttyname(terminal));
	if (terminal >= 0)
		close(terminal);
	descriptors();
	capabilities();
	signals();
	for (char **word = environ; *word; word++)
		printf("env %s\n", *word);
	prctl(PR_GET_PDEATHSIG, &death);
	printf("death %d\ndumpable %d\n", death, prctl(PR_GET_DUMPABLE));
	printf("securebits %d\npersonality %#x\n", prctl(PR_GET_SECUREBITS), personality(0xffffffff));
	printf("keyring %ld\n", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
	printf("folder %s\nleads %d\n", getcwd(folder, sizeof(folder)), getsid(0) == getpid());
	return 0;
}
