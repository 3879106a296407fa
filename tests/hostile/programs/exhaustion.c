/* Probes that use up what zones share. Each takes all it gets, up to what is more than a zone should, and holds it
 * until its standard input ends, while the test looks how the others fare. */
#include "probe.h"

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Tells how far it has come, and waits for the end of standard input. */
static void hold(const char *what, long taken, long enough, int error)
{
	char ignored[64];

	printf("taken\t-\t%ld %s\n", taken, what);
	fflush(stdout);
	while (read(0, ignored, sizeof(ignored)) > 0)
		;
	if (taken < enough)
		held(error, "%ld %s", taken, what);
	broke("%ld %s", taken, what);
}

static void many_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* COUNT */
static void inotify(char **arguments)
{
	long enough = atol(arguments[0]), taken = 0;

	many_files();
	while (taken < enough && inotify_init1(IN_CLOEXEC) != -1)
		taken++;
	hold("instances of inotify", taken, enough, errno);
}

/* COUNT */
static void terminals(char **arguments)
{
	long enough = atol(arguments[0]), taken = 0;

	many_files();
	while (taken < enough && open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) != -1)
		taken++;
	hold("terminals", taken, enough, errno);
}

/* COUNT: of message queues of the usual size. */
static void queues(char **arguments)
{
	long enough = atol(arguments[0]), taken = 0;
	struct mq_attr attribute = {.mq_maxmsg = 10, .mq_msgsize = 8192};
	char name[64];

	for (; taken < enough; taken++) {
		snprintf(name, sizeof(name), "/probe-%d-%ld", getpid(), taken);
		if (mq_open(name, O_CREAT | O_RDWR, 0600, &attribute) == (mqd_t)-1)
			break;
		mq_unlink(name);
	}
	int error = errno;

	hold("message queues", taken, enough, error);
}

/* COUNT: of signals that wait. */
static void signals(char **arguments)
{
	long enough = atol(arguments[0]), taken = 0;
	union sigval value = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 5);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct rlimit limit;
	getrlimit(RLIMIT_SIGPENDING, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_SIGPENDING, &limit);
	while (taken < enough && sigqueue(getpid(), SIGRTMIN + 5, value) != -1)
		taken++;
	hold("signals that wait", taken, enough, errno);
}

/* FOLDER MEBIBYTES */
static void bytes(char **arguments)
{
	static char block[1 << 20];
	long enough = atol(arguments[1]), taken = 0;
	char path[512];
	int fd, error;

	memset(block, 'x', sizeof(block));
	snprintf(path, sizeof(path), "%s/probe-XXXXXX", arguments[0]);
	fd = (int)TRY(mkstemp(path));
	unlink(path);
	while (taken < enough && write(fd, block, sizeof(block)) == sizeof(block))
		taken++;
	error = errno;
	hold("MiB written", taken, enough, error);
}

/* FOLDER COUNT: of files without content. */
static void files(char **arguments)
{
	long enough = atol(arguments[1]), taken = 0;
	char path[512];
	int fd, error;

	snprintf(path, sizeof(path), "%s/probe-XXXXXX", arguments[0]);
	if (!mkdtemp(path) || chdir(path) == -1)
		held(errno, "a folder in %s", arguments[0]);
	for (; taken < enough; taken++) {
		snprintf(path, sizeof(path), "%ld", taken);
		if ((fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == -1)
			break;
		close(fd);
	}
	error = errno;
	printf("taken\t-\t%ld files\n", taken);
	fflush(stdout);
	for (long each = 0; each < taken; each++) {
		snprintf(path, sizeof(path), "%ld", each);
		unlink(path);
	}
	rmdir(getcwd(path, sizeof(path)));
	hold("files", taken, enough, error);
}

/* COUNT: of processes that do nothing. */
static void processes(char **arguments)
{
	int parent = getpid();
	long enough = atol(arguments[0]), taken = 0;
	int error;

	while (taken < enough) {
		int child = fork();

		if (child == -1)
			break;
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() == parent)
				pause();
			_exit(0);
		}
		taken++;
	}
	error = errno;
	signal(SIGTERM, SIG_IGN);
	hold("processes", taken, enough, error);
}

/* MEBIBYTES: of memory, each page touched. A child does it, since the kernel kills who takes too much. */
static void memory(char **arguments)
{
	long enough = atol(arguments[0]);
	int status, child = (int)TRY(fork());

	if (child == 0) {
		for (long taken = 0; taken < enough; taken++) {
			char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (block == MAP_FAILED)
				_exit(1);
			memset(block, 'x', 1 << 20);
		}
		_exit(0);
	}
	TRY(waitpid(child, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		broke("%ld MiB taken", enough);
	held(ENOMEM, "killed on the way (%#x)", status);
}

/* MEBIBYTES: of output. */
static void flood(char **arguments)
{
	static char line[65536];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (long written = 0; written < atol(arguments[0]) * 16; written++)
		TRY(write(1, line, sizeof(line)));
	broke("%s MiB said", arguments[0]);
}

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"inotify", 1, inotify},
		{"terminals", 1, terminals},
		{"queues", 1, queues},
		{"signals", 1, signals},
		{"bytes", 2, bytes},
		{"files", 2, files},
		{"processes", 1, processes},
		{"memory", 1, memory},
		{"flood", 1, flood},
		{0},
	};

	return dispatch(commands, argc, argv);
}
