/* Probes of the network: frames that are not the zone's to send, and links and services that are not its own. */
#include "probe.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int packets(const char *link, struct sockaddr_ll *to)
{
	int fd = (int)TRY(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));

	memset(to, 0, sizeof(*to));
	to->sll_family = AF_PACKET;
	to->sll_protocol = htons(ETH_P_ALL);
	to->sll_ifindex = (int)if_nametoindex(link);
	to->sll_halen = 6;
	if (!to->sll_ifindex)
		held(errno, "no link %s", link);
	return fd;
}

static void link_address(const char *link, unsigned char *address)
{
	struct ifreq request = {0};
	int fd = (int)TRY(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	strncpy(request.ifr_name, link, sizeof(request.ifr_name) - 1);
	TRY(ioctl(fd, SIOCGIFHWADDR, &request));
	memcpy(address, request.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void send_frame(const char *link, const unsigned char *frame, size_t length, const char *what)
{
	struct sockaddr_ll to;
	int fd = packets(link, &to);

	memcpy(to.sll_addr, frame, 6);
	for (int time = 0; time < 3; time++)
		TRY(sendto(fd, frame, length, 0, (struct sockaddr *)&to, sizeof(to)));
	broke("%s sent", what);
}

/* LINK ADDRESS: tells everybody that ADDRESS is here. */
static size_t claim(const char *link, const char *address, unsigned char *frame)
{
	static const unsigned char body[] = {0, 1, 8, 0, 6, 4, 0, 2};

	memset(frame, 0xff, 6);
	link_address(link, frame + 6);
	frame[12] = 8, frame[13] = 6;
	memcpy(frame + 14, body, sizeof(body));
	memcpy(frame + 22, frame + 6, 6);
	inet_pton(AF_INET, address, frame + 28);
	memset(frame + 32, 0xff, 6);
	inet_pton(AF_INET, address, frame + 38);
	return 60;
}

static void arp(char **arguments)
{
	unsigned char frame[64] = {0};
	size_t length = claim(arguments[0], arguments[1], frame);

	send_frame(arguments[0], frame, length, "the claim");
}

/* LINK ADDRESS: the same inside of a tag of a virtual LAN, where a filter of types may not look. */
static void tagged(char **arguments)
{
	unsigned char plain[64] = {0}, frame[68] = {0};
	size_t length = claim(arguments[0], arguments[1], plain);

	memcpy(frame, plain, 12);
	frame[12] = 0x81;
	memcpy(frame + 16, plain + 12, length - 12);
	send_frame(arguments[0], frame, length + 4, "the tagged claim");
}

/* LINK: from a link address that is not this one's. */
static void mac(char **arguments)
{
	unsigned char frame[64] = {0};

	memset(frame, 0xff, 6);
	link_address(arguments[0], frame + 6);
	frame[6] = 0x02, frame[11] ^= 0x55;
	frame[12] = 0x88, frame[13] = 0xb5; /* for experiments */
	memcpy(frame + 14, "hostile-probe", 13);
	send_frame(arguments[0], frame, 60, "the frame of another's");
}

static uint16_t sum(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t total = 0;

	for (size_t each = 0; each + 1 < length; each += 2)
		total += (uint32_t)bytes[each] << 8 | bytes[each + 1];
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons((uint16_t)~total);
}

/* FROM TO PORT: a datagram that says it comes from FROM. */
static void source(char **arguments)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char text[16];
	} packet = {0};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = (int)TRY(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));

	inet_pton(AF_INET, arguments[1], &to.sin_addr);
	packet.ip.version = 4, packet.ip.ihl = 5, packet.ip.ttl = 64, packet.ip.protocol = IPPROTO_UDP;
	packet.ip.tot_len = htons(sizeof(packet));
	inet_pton(AF_INET, arguments[0], &packet.ip.saddr);
	packet.ip.daddr = to.sin_addr.s_addr;
	packet.ip.check = sum(&packet.ip, sizeof(packet.ip));
	packet.udp.source = htons(5353), packet.udp.dest = htons((uint16_t)atoi(arguments[2]));
	packet.udp.len = htons(sizeof(packet.udp) + sizeof(packet.text));
	memcpy(packet.text, "hostile-probe", 13);
	for (int time = 0; time < 3; time++)
		TRY(sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)));
	broke("a datagram from %s sent", arguments[0]);
}

/* LINK: a router advertises itself (RFC 4861); what it says is for the whole link. */
static void advertise(char **arguments)
{
	static const unsigned char head[] = {0x60, 0, 0, 0, 0, 16, 58, 255};
	unsigned char frame[70] = {0x33, 0x33, 0, 0, 0, 1};

	link_address(arguments[0], frame + 6);
	frame[12] = 0x86, frame[13] = 0xdd;
	memcpy(frame + 14, head, sizeof(head));
	frame[22] = 0xfe, frame[23] = 0x80, frame[37] = 0x66;
	frame[38] = 0xff, frame[39] = 0x02, frame[53] = 1;
	frame[54] = 134, frame[58] = 64, frame[60] = 7;
	send_frame(arguments[0], frame, sizeof(frame), "the advertisement");
}

/* SECONDS TEXT: listens on all links for a frame that holds TEXT (hex), and says so; till the end of its input and then
   until there is silence for so long. */
static void listen_for(char **arguments)
{
	unsigned char wanted[32], frame[2048];
	size_t length = 0;
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	int fd = (int)TRY(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
	struct pollfd waiting[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	int patience = -1;
	unsigned byte;

	for (const char *hex = arguments[1]; length < sizeof(wanted) && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		wanted[length++] = (unsigned char)byte;
	printf("ready\t-\t-\n");
	fflush(stdout);
	while (poll(waiting, 2, patience) > 0) {
		ssize_t got;

		if (waiting[1].revents) {
			waiting[1].fd = -1, waiting[1].revents = 0;
			patience = atoi(arguments[0]) * 1000;
		}
		if (!waiting[0].revents)
			continue;
		got = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size);
		if (got > 0 && from.sll_pkttype != PACKET_OUTGOING && memmem(frame, (size_t)got, wanted, length))
			broke("heard of it");
	}
	held(ENODATA, "nothing heard");
}

/* ADDRESS PORT */
static void reach(char **arguments)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
	int fd = (int)TRY(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), error = 0;
	struct pollfd waiting = {.fd = fd, .events = POLLOUT};
	socklen_t size = sizeof(error);

	inet_pton(AF_INET, arguments[0], &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 && errno != EINPROGRESS)
		held(errno, "connect");
	if (poll(&waiting, 1, 1500) == 0)
		held(ETIMEDOUT, "connect to %s", arguments[0]);
	TRY(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
	if (error)
		held(error, "connect to %s", arguments[0]);
	broke("connected to %s", arguments[0]);
}

/* LINK: one of the host's, taken down. */
static void down(char **arguments)
{
	struct ifreq request = {0};
	int fd = (int)TRY(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	strncpy(request.ifr_name, arguments[0], sizeof(request.ifr_name) - 1);
	TRY(ioctl(fd, SIOCGIFFLAGS, &request));
	request.ifr_flags &= ~IFF_UP;
	TRY(ioctl(fd, SIOCSIFFLAGS, &request));
	broke("%s taken down", arguments[0]);
}

int main(int argc, char **argv)
{
	static const struct command commands[] = {
		{"arp", 2, arp},
		{"tagged", 2, tagged},
		{"mac", 1, mac},
		{"source", 3, source},
		{"advertise", 1, advertise},
		{"listen", 2, listen_for},
		{"reach", 2, reach},
		{"down", 1, down},
		{0},
	};

	return dispatch(commands, argc, argv);
}
