// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * notify.c - the readiness protocol of systemd, sd_notify(3): a datagram of
 * lines to the socket that the environment names. No library of systemd's.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sup/app_int.h"

int pulse_app_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t bytes;
	size_t n;
	int fd, err = 1;

	if (!state || !*state)
		return -EINVAL;
	if (!path || !*path)
		return 0;
	n = strlen(path);
	if ((*path != '/' && *path != '@') || n >= sizeof(to.sun_path))
		return -EINVAL;
	memcpy(to.sun_path, path, n);
	if (*path == '@')	/* an abstract name */
		to.sun_path[0] = 0;
	bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (const struct sockaddr *)&to, bytes) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Half of the time it allows: sd_watchdog_enabled(3). */
int64_t pulse__watchdog_ns(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	unsigned long long us;

	if (!usec || (pid && strtoull(pid, NULL, 10) !=
		      (unsigned long long)getpid()))
		return 0;
	errno = 0;
	us = strtoull(usec, &end, 10);
	if (errno || end == usec || *end || *usec == '-' ||
	    us > INT64_MAX / 1000)
		return 0;
	return (int64_t)us * 1000 / 2;
}
