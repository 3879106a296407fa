/* The server of the network's workloads, and what its clients say first. */
#ifndef ECHO_H
#define ECHO_H

#include <stdbool.h>

enum {
    ECHO = 'e', /* every byte comes back */
    SINK = 's', /* nothing comes back but, after the last one, their number: 8 bytes, most significant first */
    SOURCE = 'd', /* the client says how many bytes it wants, as such a number; so many come */
    IPERF = 'i', /* the port of iperf3's server comes back, most significant byte first; 0: there is none */
    GREETING = 'z',
};

int serve_echo(const char *address, const char *port, bool iperf);

#endif
