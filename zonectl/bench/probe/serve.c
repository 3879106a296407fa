/* The conversation: a greeting, and for each line of input a line of output. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

/* Input that has come and was not used yet. One byte more, for the end of a line without its newline. */
struct input {
    int descriptor;
    size_t used;
    size_t held;
    bool ended;
    bool skipping; /* in a line that is too long */
    char bytes[MOST_LINE_BYTES + 1];
};

static const char too_long[] = "";

static void fill(struct input *input)
{
    ssize_t got;

    memmove(input->bytes, input->bytes + input->used, input->held - input->used);
    input->held -= input->used;
    input->used = 0;
    do
        got = read(input->descriptor, input->bytes + input->held, MOST_LINE_BYTES - input->held);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        input->ended = true;
    else
        input->held += (size_t)got;
}

/* A line of what is held, without its end; NULL where none is whole. */
static char *take(struct input *input)
{
    char *line = input->bytes + input->used;
    size_t rest = input->held - input->used;
    char *newline = memchr(line, '\n', rest);

    if (!newline)
        return NULL;
    input->used += (size_t)(newline - line) + 1;
    /* A terminal on the way may have added it. */
    if (newline > line && newline[-1] == '\r')
        newline[-1] = '\0';
    *newline = '\0';
    return line;
}

/* The next line; `too_long` for one that was passed over; NULL at the end, where half a line is none. */
static const char *next_line(struct input *input)
{
    for (;;) {
        const char *line = take(input);

        if (line && !input->skipping)
            return line;
        if (line) {
            input->skipping = false;
            return too_long;
        }
        if (input->held - input->used == MOST_LINE_BYTES) {
            input->skipping = true;
            input->used = input->held;
        }
        if (input->ended)
            return NULL;
        fill(input);
    }
}

static bool say(int output, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t written = write(output, text, left);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        text += written;
        left -= (size_t)written;
    }
    return true;
}

static bool greet(int output)
{
    char line[MOST_LINE_BYTES];
    size_t length = (size_t)snprintf(line, sizeof line, "zonectl-probe %d", PROTOCOL_VERSION);

    for (const struct workload *one = workloads; one->name; one++)
        length += (size_t)snprintf(line + length, sizeof line - length, " %s", one->name);
    snprintf(line + length, sizeof line - length, "\n");
    return say(output, line);
}

/* What a workload keeps is in the way of the next: memory to copy at fork(2), files to write back. */
static void change(const struct workload **last, const struct workload *next)
{
    if (*last && *last != next && (*last)->release)
        (*last)->release();
    *last = next;
}

static const char *measure(char *line, const struct workload **last, uint64_t *nanoseconds)
{
    struct request request;
    const struct workload *workload;
    const char *reason = parse_request(line, &request, &workload);
    double planted = 0;

    if (!reason)
        reason = percent(&request, "plant", &planted);
    if (reason)
        return reason;
    change(last, workload);
    reason = workload->run(&request, nanoseconds);
    if (!reason)
        plant(planted, nanoseconds);
    return reason;
}

static bool answer(int output, char *line, const struct workload **last)
{
    char text[1024];
    uint64_t nanoseconds = 0;
    const char *reason = line == too_long ? no("a line of more than %d bytes", MOST_LINE_BYTES) :
                                            measure(line, last, &nanoseconds);

    if (reason)
        snprintf(text, sizeof text, "no %s\n", reason);
    else
        snprintf(text, sizeof text, "ok %" PRIu64 "\n", nanoseconds);
    return say(output, text);
}

/* Until the input ends, or nobody listens any more (1). */
int serve(int input, int output)
{
    static struct input lines;
    const struct workload *last = NULL;
    const char *line;
    bool heard;

    lines.descriptor = input;
    heard = greet(output);
    while (heard && (line = next_line(&lines)))
        heard = answer(output, (char *)line, &last);
    change(&last, NULL);
    return heard ? 0 : 1;
}
