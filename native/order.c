/* The order to execute: what a process becomes, and the restrictions that hold for it; packed by runtime/entry.py. */
#include <linux/filter.h>

#include "entry.h"
#include "order.h"

/* The pointers stand in the order itself, aligned, as many as there are texts and one. */
static words take_words(void)
{
    words taken = {.count = take_u32()};
    take((size_t)(-(uintptr_t)document_mark() & (sizeof(char *) - 1)));
    taken.items = take(((size_t)taken.count + 1) * sizeof(char *));
    for (uint32_t i = 0; i < taken.count; i++)
        taken.items[i] = take_text();
    taken.items[taken.count] = NULL;
    return taken;
}

static void take_ceilings(order *read)
{
    if ((read->ceiling_count = take_u32()) > RLIM_NLIMITS)
        refuse("ZonectlError", "the order to execute has too many limits");
    for (uint32_t i = 0; i < read->ceiling_count; i++) {
        ceiling *each = &read->ceilings[i];
        each->number = take_u32();
        each->declared = take_u32();
        each->soft = take_u64();
        each->hard = take_u64();
        each->name = take_text();
    }
}

static void take_filter(order *read)
{
    uint32_t instructions = take_u32();

    if (instructions > BPF_MAXINSNS)
        refuse("ZonectlError", "the order to execute has too long a filter");
    read->filter.len = (unsigned short)instructions;
    read->filter.filter = take(instructions * sizeof(struct sock_filter));
}

static void take_account(order *read)
{
    read->held = take_u64();
    read->ambient = take_u64();
    read->uid = take_u32();
    read->gid = take_u32();
    if ((read->group_count = take_u32()) > MOST_GROUPS)
        refuse("ZonectlError", "the order to execute has too many groups");
    for (uint32_t i = 0; i < read->group_count; i++)
        read->groups[i] = take_u32();
}

/* What runtime/entry.py has packed, in memory that stays. */
void read_order(order *read, int fd)
{
    map_document(fd);
    read->flags = take_u32();
    read->umask = take_u32();
    read->bounding = take_u64();
    read->until_execve = take_u64();
    if ((read->known_capabilities = take_u32()) > 64)
        refuse("ZonectlError", "the order to execute knows too many capabilities");
    read->step = take_text();
    take_ceilings(read);
    take_filter(read);
    take_account(read);
    read->folder = take_text();
    read->name = take_text();
    read->argv = take_words();
    read->env = take_words();
    read->places = take_words();
    if (!document_ended() || !read->argv.count)
        refuse("ZonectlError", "the order to execute is not whole");
}
