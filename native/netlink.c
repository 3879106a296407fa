/* rtnetlink(7): requests that the worker has written, and the kernel's answers. network/wire.py is the same in Python. */
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "entry.h"

enum { MOST_ANSWER = 8192 };

/* The errno of the kernel's answer, and its own words. */
static int answered(const char *answer, ssize_t length, char *words, size_t room)
{
    const struct nlmsghdr *header = (const void *)answer;

    *words = 0;
    if (length < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || header->nlmsg_type != NLMSG_ERROR)
        return EPROTO;
    const struct nlmsgerr *error = NLMSG_DATA(header);
    if (!error->error || !(header->nlmsg_flags & NLM_F_ACK_TLVS))
        return -error->error;
    const char *at = (const char *)(error + 1), *end = answer + length;
    if (!(header->nlmsg_flags & NLM_F_CAPPED))
        at += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof error->msg;
    while (end - at >= NLA_HDRLEN) {
        const struct nlattr *attribute = (const void *)at;
        if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > end - at)
            break;
        if ((attribute->nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG)
            snprintf(words, room, "%.*s", (int)(attribute->nla_len - NLA_HDRLEN), at + NLA_HDRLEN);
        at += NLA_ALIGN(attribute->nla_len);
    }
    return -error->error;
}

static int open_netlink(void)
{
    static const int options[] = {NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), one = 1;

    check(fd < 0, "socket", "AF_NETLINK");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        check(setsockopt(fd, SOL_NETLINK, options[i], &one, sizeof one), "setsockopt", "AF_NETLINK");
    return fd;
}

/* Send a request of `length` bytes, and see it done; `call` and `subject` say in an error which one it was. */
void ask_kernel(const char *call, const char *subject, char *request, size_t length)
{
    static int netlink = -1;
    static uint32_t sequence;
    _Alignas(struct nlmsghdr) char answer[MOST_ANSWER];
    char words[512];
    struct nlmsghdr header;

    memcpy(&header, request, sizeof header);
    header.nlmsg_seq = ++sequence;
    memcpy(request, &header, sizeof header);
    if (netlink < 0)
        netlink = open_netlink();
    check(send(netlink, request, length, 0) < 0, "netlink", subject);
    /* The answer is there when send returns. */
    ssize_t got = recv(netlink, answer, sizeof answer, MSG_DONTWAIT);
    check(got < 0, "netlink", subject);
    int number = answered(answer, got, words, sizeof words);
    if (number)
        fail("SyscallError", number, "call", call, "subject", subject, "detail", words, NULL);
}
