/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ways.h - the fuzzer's other ways into the module: sysfs, netlink, poll, and
 * descriptors that travel.
 */
#ifndef PULSE_SELFTESTS_FUZZ_WAYS_H
#define PULSE_SELFTESTS_FUZZ_WAYS_H

#include "../../lib/fdpass.h"
#include "state.h"

/* A knob of the module, or of a context. */
static int fuzz_sysfs(const struct fuzz_op *op)
{
	static const char *const names[] = {
		"max_contexts_per_user", "max_workers_per_user", "max_pages_per_user",
		"beat_floor_us", "watch_interval_ms", "spin_us", "wake_spill", "contexts",
		"workers", "features", "uid", "pid", "pages", "watches", "events_dropped",
	};
	static const char *const texts[] = {
		"0", "1", "1\n", "100", "256\n", "-1", "", "4294967295", "0x10", "\n",
		"99999999999999999999",
	};
	const char *name = names[op->bytes[0] % (sizeof(names) / sizeof(names[0]))];
	const char *text = texts[op->bytes[1] % (sizeof(texts) / sizeof(texts[0]))];
	char path[320], line[64];
	struct dirent *e;
	DIR *dir;
	int fd, ret = 0;

	snprintf(path, sizeof(path), SYSFS_DIR "%s", name);
	dir = op->how & 1 ? opendir(SYSFS_DIR) : NULL;
	while (dir && (e = readdir(dir)))
		if (!strncmp(e->d_name, "ctx", 3))
			snprintf(path, sizeof(path), SYSFS_DIR "%.32s/%s", e->d_name, name);
	if (dir)
		closedir(dir);
	fd = open(path, op->how & 2 ? O_RDONLY : O_WRONLY);
	if (fd < 0)
		return errno;
	if (op->how & 2)
		ret = read(fd, line, sizeof(line)) < 0 ? errno : 0;
	else if (op->how & 4)
		ret = write(fd, op->bytes + 2, op->bytes[2] % 100) < 0 ? errno : 0;
	else
		ret = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return ret;
}

/* A message to the family, with attributes that are mostly of the right form. */
static int fuzz_netlink(const struct fuzz_op *op)
{
	static const char *const names[] = {
		"spin_us", "wake_spill", "beat_floor_us", "max_contexts_per_user", "none",
	};
	struct nl *n = calloc(1, sizeof(*n));
	struct timeval limit = { 0, 20000 };
	int ret = ENOMEM;

	if (!n)
		return ret;
	n->family = totals->family;
	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	nl_ask(n, op->bytes[0] % 15, op->how & 1 ? NL_DUMP : NL_ACK);
	for (int i = 0; i < (op->bytes[1] & 3); i++) {
		const uint8_t *b = op->bytes + 4 + 12 * i;
		const char *name = names[b[2] % 5];

		switch (b[0] & 7) {
		case 0:
		case 1:
		case 2:
			nl_put(n, b[1] & 7, b + 4, 4);
			break;
		case 3:
		case 4:
			nl_put_str(n, PULSE_NL_KNOB_NAME, name);
			break;
		case 5:
			nl_put(n, b[1], b + 2, b[2] % 8);
			break;
		case 6:
			nl_put(n, NLA_F_NESTED | b[1], b, 12);
			break;
		default:
			/* longer than the message */
			((struct nlattr *)(n->out + nl_put(n, b[1], b, 4)))->nla_len += b[3];
		}
	}
	ret = -nl_talk(n, NULL, NULL);
	close(n->fd);
	free(n);
	return ret;
}

static int fuzz_poll(const struct fuzz_op *op)
{
	struct epoll_event ev = { .events = EPOLLIN | (op->how & 1 ? EPOLLET : 0) };
	struct pollfd p = { fuzz_fd[op->slot], POLLIN, 0 };
	int ep, ret;

	if (op->kind == FUZZ_POLL)
		return poll(&p, 1, op->bytes[0] & 3) < 0 ? errno : p.revents;
	/* left open now and then: it is the descriptor that goes first */
	ep = epoll_create1(0);
	ret = epoll_ctl(ep, EPOLL_CTL_ADD, fuzz_fd[op->slot], &ev) ? errno :
	      epoll_wait(ep, &ev, 1, op->bytes[0] & 3) < 0 ? errno : 0;
	if (op->how & 2)
		close(ep);
	return ret;
}

/* The descriptor goes through a socket, and stays there if nobody takes it. */
static int fuzz_pass(const struct fuzz_op *op)
{
	int fd;

	if (!(op->how & 1))
		return -fd_send(fuzz_mail[0], fuzz_fd[op->slot], MSG_DONTWAIT);
	fd = fd_receive(fuzz_mail[1], MSG_DONTWAIT);
	if (fd >= 0)
		fuzz_fd[op->slot] = fd;
	return fd < 0 && fd != -ENOENT ? -fd : 0;
}

#endif /* PULSE_SELFTESTS_FUZZ_WAYS_H */
