// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shm_map.c - the memory of a shared-memory transport: made, sealed, handed
 * over, checked.
 *
 * A memfd that could shrink would be a SIGBUS in the hands of the peer; one
 * without the seals is refused, and so is one that is not as long as it should.
 */
#include "io/shm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW)

static size_t bytes_of(uint32_t ring_bytes)
{
	return PULSE__SHM_HEADER + 2 * (size_t)ring_bytes;
}

static int map_it(int memfd, uint32_t ring_bytes, struct pulse__shm_map *map)
{
	unsigned char *mem;

	if (pulse__alloc_fault())
		return -ENOMEM;
	mem = mmap(NULL, bytes_of(ring_bytes), PROT_READ | PROT_WRITE,
		   MAP_SHARED, memfd, 0);
	if (mem == MAP_FAILED)
		return -errno;
	/* A child has no connection: it would speak in its parent's name. */
	madvise(mem, bytes_of(ring_bytes), MADV_DONTFORK);
	map->head = (struct pulse__shm_head *)mem;
	map->data[0] = mem + PULSE__SHM_HEADER;
	map->data[1] = map->data[0] + ring_bytes;
	map->ring_bytes = ring_bytes;
	return 0;
}

int pulse__shm_make(uint32_t ring_bytes, struct pulse__shm_map *map)
{
	int err, fd = memfd_create("pulse-transport",
				   MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes_of(ring_bytes)) ||
	    fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL))
		err = -errno;
	else
		err = map_it(fd, ring_bytes, map);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int pulse__shm_take(int memfd, uint32_t ring_bytes, struct pulse__shm_map *map)
{
	int seals = fcntl(memfd, F_GET_SEALS);
	struct stat st;

	if (ring_bytes < PULSE__SHM_RING_MIN ||
	    ring_bytes > PULSE__SHM_RING_MAX || !pulse__is_pow2(ring_bytes) ||
	    seals < 0 || (seals & SEALS) != SEALS || seals & F_SEAL_WRITE ||
	    fstat(memfd, &st) || (uint64_t)st.st_size != bytes_of(ring_bytes))
		return -EPROTO;
	return map_it(memfd, ring_bytes, map);
}

void pulse__shm_unmap(struct pulse__shm_map *map)
{
	if (map->head)
		munmap(map->head, bytes_of(map->ring_bytes));
	map->head = NULL;
}

int pulse__shm_send_fd(int sock, const struct pulse__shm_hello *hello, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { (void *)hello, sizeof(*hello) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(*hello) ? 0 : -EPROTO;
}

int pulse__shm_recv_fd(int sock, struct pulse__shm_hello *hello, int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { hello, sizeof(*hello) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(cmsg), sizeof(int));
	if (n == sizeof(*hello) && *fd >= 0 && !(msg.msg_flags & MSG_CTRUNC) &&
	    hello->magic == PULSE__SHM_MAGIC && hello->version == 1 &&
	    !hello->reserved)
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return n ? -EPROTO : -ECONNRESET;
}
