/* Probes of control groups: limits of one's own, groups of others. */
#include "probe.h"

#include <dirent.h>
#include <sys/mount.h>

#define TREE "/sys/fs/cgroup"

/* OPTIONS: a hierarchy of version 1 that the host has, mounted here. */
static const char *hierarchy(const char *options)
{
	static const char place[] = "/tmp/probe-cgroup";

	if (mkdir(place, 0755) == -1 && errno != EEXIST)
		held(errno, "mkdir");
	TRY(mount("none", place, "cgroup", 0, options));
	return place;
}

static void version1(char **arguments)
{
	hierarchy(arguments[0]);
	umount2("/tmp/probe-cgroup", MNT_DETACH);
	broke("the host's groups of version 1 are here");
}

static void release_agent(char **arguments)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/release_agent", hierarchy(arguments[0]));
	/* Never written: these groups are the machine's. */
	TRY(open(path, O_WRONLY | O_CLOEXEC));
	umount2("/tmp/probe-cgroup", MNT_DETACH);
	broke("%s is open to write", path);
}

/* PATH: of what limits the group. */
static void limit(char **arguments)
{
	write_back(arguments[0]);
}

/* PATH: of what moves or kills the processes of a group; it is not written to. */
static void reach(char **arguments)
{
	TRY(open(arguments[0], O_WRONLY | O_CLOEXEC));
	broke("%s is open to write", arguments[0]);
}

/* PATH VALUE: the same with a value. */
static void set(char **arguments)
{
	int fd = (int)TRY(open(arguments[0], O_WRONLY | O_CLOEXEC));

	TRY(write(fd, arguments[1], strlen(arguments[1])));
	broke("%s written to %s", arguments[1], arguments[0]);
}

/* NAME: a group of the host's, seen where the zone sees groups. */
static int sees(const char *top, const char *name, int depth)
{
	DIR *folder = opendir(top);
	struct dirent *entry;
	char path[4096];
	int found = 0;

	if (!folder)
		return 0;
	while (!found && (entry = readdir(folder))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (!strcmp(entry->d_name, name))
			found = 1;
		snprintf(path, sizeof(path), "%s/%s", top, entry->d_name);
		if (!found && depth < 6)
			found = sees(path, name, depth + 1);
	}
	closedir(folder);
	return found;
}

static void neighbour(char **arguments)
{
	if (sees(TREE, arguments[0], 0))
		broke("the group %s is in sight", arguments[0]);
	held(ENOENT, "no group %s in sight", arguments[0]);
}

static void anew(char **arguments)
{
	if (mkdir("/tmp/probe-cgroup2", 0755) == -1 && errno != EEXIST)
		held(errno, "mkdir");
	TRY(mount("none", "/tmp/probe-cgroup2", "cgroup2", 0, NULL));
	broke("cgroup2 mounted once more");
}

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"version1", 1, version1},
		{"release-agent", 1, release_agent},
		{"limit", 1, limit},
		{"reach", 1, reach},
		{"set", 2, set},
		{"neighbour", 1, neighbour},
		{"anew", 0, anew},
		{0},
	};

	return dispatch(commands, argc, argv);
}
