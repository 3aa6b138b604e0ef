/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A descriptor goes through a unix socket, with one byte.
 */
#ifndef PULSE_SELFTESTS_FDPASS_H
#define PULSE_SELFTESTS_FDPASS_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* The message for it; @control has room for one descriptor. */
#define FD_MESSAGE(byte, control)					\
	{								\
		.msg_iov = &(struct iovec){ byte, 1 },			\
		.msg_iovlen = 1,					\
		.msg_control = control,					\
		.msg_controllen = sizeof(control),			\
	}

/* 0 or a negative errno. */
static inline int fd_send(int sock, int fd, int flags)
{
	char c = 'x', control[CMSG_SPACE(sizeof(int))] = "";
	struct msghdr msg = FD_MESSAGE(&c, control);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, flags) < 0 ? -errno : 0;
}

/* The descriptor; a negative errno, -ENOENT: a message without one. */
static inline int fd_receive(int sock, int flags)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	struct msghdr msg = FD_MESSAGE(&c, control);
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, flags) < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -ENOENT;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

#endif /* PULSE_SELFTESTS_FDPASS_H */
