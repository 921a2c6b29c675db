// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Two peers, one message: the first example on the bare interface.
 *
 * What a program has to do by hand that the Rust crate does for it: read the
 * payload in the mapped pool at the offset that the kernel names, give that
 * slice back, and give back each handle.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/bus1.h>

#define MAP_BYTES (1UL << 20)

struct peer {
	int fd;
	const uint8_t *pool;
};

static void die(const char *what)
{
	fprintf(stderr, "hello: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static struct peer peer_open(void)
{
	struct peer peer;

	peer.fd = open("/dev/bus1", O_RDWR | O_CLOEXEC);
	if (peer.fd < 0)
		die("/dev/bus1");
	peer.pool = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, peer.fd, 0);
	if (peer.pool == MAP_FAILED)
		die("mapping the pool");
	return peer;
}

static void peer_close(struct peer *peer)
{
	munmap((void *)peer->pool, MAP_BYTES);
	close(peer->fd);
}

/* Puts a handle to the node @id of @from on @to; returns its ID there. */
static uint64_t transfer(struct peer *from, uint64_t id, struct peer *to)
{
	struct bus1_cmd_handle_transfer cmd = {
		.src_handle = id,
		.dst_fd = (uint64_t)to->fd,
		.dst_handle = BUS1_HANDLE_INVALID,
	};

	if (ioctl(from->fd, BUS1_CMD_HANDLE_TRANSFER, &cmd) < 0)
		die("passing on a handle");
	return cmd.dst_handle;
}

static void send_two_pieces(struct peer *from, uint64_t to, char *one, char *two)
{
	struct iovec vecs[] = {
		{ one, strlen(one) },
		{ two, strlen(two) },
	};
	struct bus1_cmd_send cmd = {
		.ptr_destinations = (uintptr_t)&to,
		.n_destinations = 1,
		.ptr_vecs = (uintptr_t)vecs,
		.n_vecs = 2,
	};

	if (ioctl(from->fd, BUS1_CMD_SEND, &cmd) < 0)
		die("sending");
}

/* Waits for a message, at most ten seconds. */
static struct bus1_msg receive(struct peer *peer)
{
	struct bus1_cmd_recv cmd = { .max_offset = MAP_BYTES };
	struct pollfd poller = { .fd = peer->fd, .events = POLLIN };

	while (ioctl(peer->fd, BUS1_CMD_RECV, &cmd) < 0) {
		int ready;

		if (errno != EAGAIN)
			die("receiving");
		ready = poll(&poller, 1, 10000);
		if (ready < 0)
			die("waiting");
		if (ready == 0) {
			fprintf(stderr, "hello: no message in ten seconds\n");
			exit(EXIT_FAILURE);
		}
	}
	return cmd.msg;
}

int main(void)
{
	struct peer server = peer_open(), client = peer_open();
	/* Any number whose low two bits are clear names a node of ours. */
	uint64_t node = 0x100, handle;
	struct bus1_msg msg;
	int same;

	printf("two peers are open: server and client\n");
	handle = transfer(&server, node, &client);
	printf("the server made node %#llx; the client holds handle %#llx to it\n",
	       (unsigned long long)node, (unsigned long long)handle);

	send_two_pieces(&client, handle, "hello, ", "world");
	printf("the client sent a message in two pieces\n");

	msg = receive(&server);
	if (msg.type != BUS1_MSG_DATA || msg.destination != node ||
	    msg.n_bytes > MAP_BYTES || msg.offset > MAP_BYTES - msg.n_bytes) {
		fprintf(stderr, "hello: that is not the message\n");
		return EXIT_FAILURE;
	}
	printf("the server got \"%.*s\" from process %u of user %u\n",
	       (int)msg.n_bytes, (const char *)server.pool + msg.offset,
	       msg.pid, msg.uid);
	same = msg.n_bytes == 12 && !memcmp(server.pool + msg.offset, "hello, world", 12);

	if (ioctl(server.fd, BUS1_CMD_SLICE_RELEASE, &msg.offset) < 0)
		die("giving the slice back");
	if (ioctl(client.fd, BUS1_CMD_HANDLE_RELEASE, &handle) < 0)
		die("giving the handle back");
	peer_close(&client);
	peer_close(&server);
	if (!same) {
		fprintf(stderr, "hello: that is not what was sent\n");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
