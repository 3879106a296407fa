/* iperf3 as a witness of the network: its server, next to ours. */
#ifndef IPERF_H
#define IPERF_H

#include <netinet/in.h>

/* The port of iperf3's server on the address, which is started if there is none; 0: there can be none. */
in_port_t iperf_port(struct in_addr address);

/* What it says, to be read: a descriptor, or -1; and reading it. */
int iperf_output(void);
void read_iperf(void);

void end_iperf(void);

#endif
