/* Probes of the kernel's surface: calls that a zone has no business to make. */
#include "probe.h"

#include <linux/bpf.h>
#include <linux/if_alg.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/quota.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void io_uring(char **arguments)
{
	struct io_uring_params parameters = {0};

	TRY(syscall(SYS_io_uring_setup, 4, &parameters));
	broke("a ring of io_uring");
}

static void bpf_map(char **arguments)
{
	union bpf_attr attribute = {0};

	attribute.map_type = BPF_MAP_TYPE_ARRAY;
	attribute.key_size = attribute.value_size = 4;
	attribute.max_entries = 1;
	TRY(syscall(SYS_bpf, BPF_MAP_CREATE, &attribute, sizeof(attribute)));
	broke("a map of BPF");
}

static void uffd(char **arguments)
{
	TRY(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
	broke("page faults handled in user space");
}

static long perf(int pid, int cpu, int whole_kernel)
{
	struct perf_event_attr attribute = {0};

	attribute.size = sizeof(attribute);
	attribute.type = PERF_TYPE_SOFTWARE;
	attribute.config = PERF_COUNT_SW_CPU_CLOCK;
	attribute.exclude_kernel = !whole_kernel;
	attribute.disabled = 1;
	return syscall(SYS_perf_event_open, &attribute, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static void perf_self(char **arguments)
{
	TRY(perf(0, -1, 0));
	broke("a counter of this process");
}

static void perf_all(char **arguments)
{
	TRY(perf(-1, 0, 1));
	broke("a counter of a whole processor");
}

static void own_key(char **arguments)
{
	TRY(syscall(SYS_add_key, "user", "of-a-probe", "text", 4, KEY_SPEC_PROCESS_KEYRING));
	broke("a key added");
}

static void alg(char **arguments)
{
	struct sockaddr_alg address = {.salg_family = AF_ALG, .salg_type = "hash", .salg_name = "sha256"};
	int fd = (int)TRY(socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	TRY(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	broke("a hash of the kernel's");
}

static void vsock(char **arguments)
{
	TRY(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
	broke("a socket to the hypervisor");
}

static void kexec(char **arguments)
{
	/* No segments: the image that waits, of which there is none, is dropped. */
	TRY(syscall(SYS_kexec_load, 0, 0, NULL, 0));
	broke("the next kernel chosen");
}

static void init_module_(char **arguments)
{
	/* Not a module: what is refused is its form, once the right to load one is there. */
	static const char image[256] = "not a module";

	if (syscall(SYS_init_module, image, sizeof(image), "") == -1 && errno != ENOEXEC)
		held(errno, "init_module");
	broke("a module would be loaded");
}

static void delete_module_(char **arguments)
{
	if (syscall(SYS_delete_module, "no_such_module", O_NONBLOCK) == -1 && errno != ENOENT)
		held(errno, "delete_module");
	broke("a module would be unloaded");
}

static int nothing(void *unused)
{
	return 0;
}

static void clone_with(long flags)
{
	static char stack[65536];

	TRY(clone(nothing, stack + sizeof(stack), (int)(flags | SIGCHLD), NULL));
	broke("a child in new namespaces (%#lx)", flags);
}

static void clone_user(char **arguments)
{
	clone_with(CLONE_NEWUSER);
}

static void clone_net(char **arguments)
{
	clone_with(CLONE_NEWNET);
}

static void clone3_user(char **arguments)
{
	struct clone_args given = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};

	if (TRY(syscall(SYS_clone3, &given, sizeof(given))) == 0)
		_exit(0);
	broke("a child in a new user namespace");
}

static void unshare_user(char **arguments)
{
	TRY(unshare(CLONE_NEWUSER));
	broke("a user namespace below the zone's");
}

static void unshare_mount(char **arguments)
{
	TRY(unshare(CLONE_NEWNS));
	broke("a mount namespace beside the zone's");
}

/* A user namespace that gives all capabilities over a network namespace: the way into most of netfilter's bugs. */
static void nested_network(char **arguments)
{
	TRY(unshare(CLONE_NEWUSER | CLONE_NEWNET));
	TRY(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 12 /* NETLINK_NETFILTER */));
	broke("netfilter, with all capabilities");
}

static void ptrace_(char **arguments)
{
	TRY(ptrace(PTRACE_SEIZE, atoi(arguments[0]), NULL, NULL));
	broke("process %s traced", arguments[0]);
}

static void read_memory(char **arguments)
{
	char word[8];
	struct iovec here = {word, sizeof(word)}, there = {(void *)strtoul(arguments[1], NULL, 16), sizeof(word)};

	TRY(process_vm_readv(atoi(arguments[0]), &here, 1, &there, 1, 0));
	broke("memory of process %s read", arguments[0]);
}

static void signal_(char **arguments)
{
	/* One that does nothing to a process that is not stopped. */
	TRY(kill(atoi(arguments[0]), SIGCONT));
	broke("process %s signalled", arguments[0]);
}

static void pidfd(char **arguments)
{
	long process = TRY(syscall(SYS_pidfd_open, atoi(arguments[0]), 0));

	TRY(syscall(SYS_pidfd_getfd, process, 0, 0));
	broke("a descriptor of process %s taken", arguments[0]);
}

static void priority(char **arguments)
{
	TRY(setpriority(PRIO_PROCESS, atoi(arguments[0]), 1));
	broke("process %s slowed down", arguments[0]);
}

static void join(char **arguments)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", arguments[0], arguments[1]);
	fd = (int)TRY(open(path, O_RDONLY | O_CLOEXEC));
	TRY(setns(fd, 0));
	broke("%s entered", path);
}

static void personality_(char **arguments)
{
	TRY(personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC));
	broke("addresses no longer random, data executable");
}

static void x32(char **arguments)
{
	TRY(syscall(0x40000000 | SYS_getpid));
	broke("a system call of the x32 interface");
}

static void i386(char **arguments)
{
	long value = 20; /* getpid there */

	/* What is killed at once is hard to tell from what never ran. */
	usleep(300000);
	__asm__ volatile("int $0x80" : "+a"(value) : : "memory", "r8", "r9", "r10", "r11");
	if (value < 0)
		held((int)-value, "int 0x80");
	broke("a system call of the i386 interface");
}

static void settimeofday_(char **arguments)
{
	/* The C library dereferences the first; the kernel asks for the right to set a clock, and sets none. */
	TRY(syscall(SYS_settimeofday, NULL, NULL));
	broke("the clock would be set");
}

static void adjtimex_(char **arguments)
{
	struct timex values = {0};

	TRY(adjtimex(&values));
	values.modes = ADJ_TICK;
	TRY(adjtimex(&values));
	broke("the clock's speed set to what it is");
}

static void swapon_(char **arguments)
{
	if (swapon("/no/such/file", 0) == -1 && errno != ENOENT)
		held(errno, "swapon");
	broke("swap would be added");
}

static void swapoff_(char **arguments)
{
	if (swapoff("/no/such/file") == -1 && errno != ENOENT)
		held(errno, "swapoff");
	broke("swap would be taken away");
}

static void klog(char **arguments)
{
	static char text[1 << 16];

	TRY(klogctl(3 /* SYSLOG_ACTION_READ_ALL */, text, sizeof(text)));
	broke("the kernel's log read");
}

static void acct_(char **arguments)
{
	if (acct("/no/such/file") == -1 && errno != ENOENT)
		held(errno, "acct");
	broke("accounting would be turned on");
}

static void quota(char **arguments)
{
	TRY(syscall(SYS_quotactl, Q_SYNC << 8, NULL, 0, NULL));
	broke("quotas synced");
}

static void iopl_(char **arguments)
{
	TRY(iopl(3));
	broke("ports of the hardware open");
}

static void fanotify(char **arguments)
{
	TRY(fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY));
	broke("every access watched");
}

static void realtime(char **arguments)
{
	struct sched_param parameter = {.sched_priority = 1};

	TRY(sched_setscheduler(0, SCHED_FIFO, &parameter));
	broke("before all others on a processor");
}

static void nice_(char **arguments)
{
	TRY(setpriority(PRIO_PROCESS, 0, -5));
	broke("a higher priority than others");
}

static void ioprio(char **arguments)
{
	TRY(syscall(SYS_ioprio_set, 1, 0, (1 << 13) | 0 /* IOPRIO_CLASS_RT */));
	broke("before all others on the disks");
}

static void vhangup_(char **arguments)
{
	setsid();
	TRY(vhangup());
	broke("the terminal hung up");
}

static void setuid_outside(char **arguments)
{
	/* An id that the zone's map does not have. */
	TRY(setresuid(70000, 70000, 70000));
	broke("an id of the host's taken");
}

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"io-uring", 0, io_uring},
		{"bpf", 0, bpf_map},
		{"userfaultfd", 0, uffd},
		{"perf-self", 0, perf_self},
		{"perf-all", 0, perf_all},
		{"add-key", 0, own_key},
		{"alg", 0, alg},
		{"vsock", 0, vsock},
		{"kexec", 0, kexec},
		{"init-module", 0, init_module_},
		{"delete-module", 0, delete_module_},
		{"clone-user", 0, clone_user},
		{"clone-net", 0, clone_net},
		{"clone3-user", 0, clone3_user},
		{"unshare-user", 0, unshare_user},
		{"unshare-mount", 0, unshare_mount},
		{"nested-network", 0, nested_network},
		{"ptrace", 1, ptrace_},
		{"read-memory", 2, read_memory},
		{"signal", 1, signal_},
		{"pidfd", 1, pidfd},
		{"priority", 1, priority},
		{"join", 2, join},
		{"personality", 0, personality_},
		{"x32", 0, x32},
		{"i386", 0, i386},
		{"settimeofday", 0, settimeofday_},
		{"adjtimex", 0, adjtimex_},
		{"swapon", 0, swapon_},
		{"swapoff", 0, swapoff_},
		{"klog", 0, klog},
		{"acct", 0, acct_},
		{"quota", 0, quota},
		{"iopl", 0, iopl_},
		{"fanotify", 0, fanotify},
		{"realtime", 0, realtime},
		{"nice", 0, nice_},
		{"ioprio", 0, ioprio},
		{"vhangup", 0, vhangup_},
		{"foreign-id", 0, setuid_outside},
		{0},
	};

	return dispatch(commands, argc, argv);
}
