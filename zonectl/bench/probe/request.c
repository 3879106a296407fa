/* Requests as they are read: a line into words, words into numbers; and the words for what cannot be done. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"

static const uint64_t most_loops = 1000000000000;
static const double most_percent = 1000;

/* A reason, in a line whatever it is about. It lasts until the next. */
const char *no(const char *format, ...)
{
    static char reason[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    for (char *at = reason; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return reason;
}

/* The reason why a call failed, from errno. */
const char *failed(const char *call, const char *subject)
{
    return no("%s%s%s: %s", call, *subject ? " " : "", subject, strerror(errno));
}

const char *setting(const struct request *request, const char *key)
{
    for (size_t at = 0; at < request->settings; at++)
        if (strcmp(request->setting[at].key, key) == 0)
            return request->setting[at].value;
    return NULL;
}

/* The setting as a percentage, 0 where there is none. */
const char *percent(const struct request *request, const char *key, double *value)
{
    const char *text = setting(request, key);
    char *end;

    *value = 0;
    if (!text)
        return NULL;
    *value = strtod(text, &end);
    /* Neither a sign nor hexadecimal digits nor "inf". */
    if (text[strspn(text, "0123456789.")] || end == text || *end || *value > most_percent)
        return no("%s must be a number from 0 to %.0f, not \"%.64s\"", key, most_percent, text);
    return NULL;
}

static const char *parse_loops(const char *word, uint64_t *loops)
{
    char *end;

    errno = 0;
    *loops = word ? strtoull(word, &end, 10) : 0;
    if (!word || word[strspn(word, "0123456789")] || errno || *loops < 1 || *loops > most_loops)
        return no("the number of loops must be from 1 to %llu, not \"%.64s\"", (unsigned long long)most_loops,
                  word ? word : "");
    return NULL;
}

static bool is_known(const char *key, const struct workload *workload)
{
    if (strcmp(key, "plant") == 0)
        return true;
    for (const char *const *known = workload->keys; known && *known; known++)
        if (strcmp(key, *known) == 0)
            return true;
    return false;
}

static const char *parse_setting(char *word, struct request *request, const struct workload *workload)
{
    char *equals = strchr(word, '=');

    if (!equals || equals == word || !equals[1])
        return no("a setting is key=value, not \"%.64s\"", word);
    *equals = '\0';
    if (!is_known(word, workload))
        return no("%s knows no setting %.64s", workload->name, word);
    if (setting(request, word))
        return no("%s is set twice", word);
    if (request->settings == MOST_SETTINGS)
        return no("more than %d settings", MOST_SETTINGS);
    request->setting[request->settings++] = (struct setting){.key = word, .value = equals + 1};
    return NULL;
}

/* Takes the line apart, in place. The request points into it. */
const char *parse_request(char *line, struct request *request, const struct workload **workload)
{
    char *rest = line;
    const char *name = strtok_r(rest, " ", &rest);
    const char *reason;
    char *word;

    *request = (struct request){0};
    if (!name)
        return no("an empty line");
    *workload = find_workload(name);
    if (!*workload)
        return no("there is no workload \"%.64s\"", name);
    reason = parse_loops(strtok_r(rest, " ", &rest), &request->loops);
    while (!reason && (word = strtok_r(rest, " ", &rest)))
        reason = parse_setting(word, request, *workload);
    return reason;
}
