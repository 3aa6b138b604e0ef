// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * proc.c - a worker's state from /proc/self/task/<tid>, for the user backend.
 *
 * stat gives state and CPU, schedstat run and wait time, status the switches,
 * sched (where the kernel has it) the migrations. The kernel cannot be asked
 * whether a runnable thread has a CPU, so preempted looks like running.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/backend.h"

static ssize_t pulse__task_file(int tid, const char *name, char *buf,
				size_t room)
{
	char path[64];
	int fd, saved = errno;
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		got = -errno;
		errno = saved;
		return got;
	}
	do {
		got = read(fd, buf, room - 1);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		got = -errno;	/* ESRCH: it died between open and read */
	else
		buf[got] = 0;
	close(fd);
	errno = saved;
	return got;
}

/* "pid (name) S ppid ...": state is field 3, the CPU field 39. */
static void pulse__parse_stat(const char *text, struct pulse__proc *out)
{
	/* The name may hold anything, brackets too. */
	const char *s = strrchr(text, ')');

	if (!s || s[1] != ' ' || !s[2])
		return;
	s += 2;
	out->state = *s;
	for (int field = 3; field < 39; field++) {
		s = strchr(s, ' ');
		if (!s)
			return;
		s++;
	}
	out->cpu = (uint32_t)strtoul(s, NULL, 10);
}

/* The number after "key" and its colon, 0 where there is none. */
static uint64_t pulse__value_of(const char *text, const char *key)
{
	const char *s = strstr(text, key);

	s = s ? strchr(s, ':') : NULL;
	return s ? strtoull(s + 1, NULL, 10) : 0;
}

int pulse__proc_read(int tid, struct pulse__proc *out)
{
	char text[4096];
	ssize_t got;

	memset(out, 0, sizeof(*out));
	got = pulse__task_file(tid, "stat", text, sizeof(text));
	if (got < 0)
		return got == -ENOENT && access("/proc/self/task", F_OK) ?
			-ENOENT : -ESRCH;
	pulse__parse_stat(text, out);
	if (pulse__task_file(tid, "schedstat", text, sizeof(text)) > 0)
		sscanf(text, "%" SCNu64 " %" SCNu64, &out->run_ns,
		       &out->wait_ns);
	if (pulse__task_file(tid, "status", text, sizeof(text)) > 0) {
		/* The longer name ends in the shorter one. */
		out->voluntary = pulse__value_of(text, "\nvoluntary_ctxt");
		out->involuntary = pulse__value_of(text, "\nnonvoluntary_ctxt");
	}
	if (pulse__task_file(tid, "sched", text, sizeof(text)) > 0)
		out->migrations = pulse__value_of(text, "se.nr_migrations");
	return 0;
}

void pulse__proc_base(struct pulse__slot *slot)
{
	struct pulse__proc p;

	/* Zero where /proc is not there: counted from the thread's start. */
	pulse__proc_read(slot->tid, &p);
	WRITE_ONCE(slot->base_run_ns, p.run_ns);
	WRITE_ONCE(slot->base_wait_ns, p.wait_ns);
	WRITE_ONCE(slot->base_block, p.voluntary);
	WRITE_ONCE(slot->base_preempt, p.involuntary);
	WRITE_ONCE(slot->base_migrate, p.migrations);
}

/* The base was taken by another read: never below it. */
#define pulse__since(now, base)						\
	({								\
		uint64_t b_ = READ_ONCE(base);				\
									\
		(now) > b_ ? (now) - b_ : 0;				\
	})

int pulse__proc_state(struct pulse_ctx *ctx, const struct pulse__slot *slot,
		      struct pulse_worker_state *out)
{
	const struct pulse_kstate *ks = &ctx->kstate[slot->index];
	uint32_t said = READ_ONCE(ks->state);
	struct pulse__proc p;
	int err;

	out->tid = READ_ONCE(slot->tid);
	err = pulse__proc_read(out->tid, &p);
	if (err == -ESRCH) {
		out->state = PULSE_STATE_DEAD;
		return 0;
	}
	out->n_park = READ_ONCE(ks->n_park);
	out->beats = READ_ONCE(ks->beats);
	out->missed = READ_ONCE(ks->missed);
	if (err) {	/* no /proc: what the worker says of itself */
		out->state = said;
		out->cpu = READ_ONCE(ks->cpu);
		out->node = READ_ONCE(ks->node);
		return 0;
	}
	switch (p.state) {
	case 'R':
		out->state = PULSE_STATE_RUNNING;
		break;
	case 'Z':
	case 'X':
		out->state = PULSE_STATE_DEAD;
		break;
	default:
		out->state = said == PULSE_STATE_PARKED ? PULSE_STATE_PARKED :
							  PULSE_STATE_BLOCKED;
	}
	out->cpu = p.cpu;
	out->node = ctx->sys ? pulse__nodes_of_cpu(ctx->sys, p.cpu) :
			       ctx->nodes[slot->row];
	out->run_ns = pulse__since(p.run_ns, slot->base_run_ns);
	out->wait_ns = pulse__since(p.wait_ns, slot->base_wait_ns);
	out->n_block = pulse__since(p.voluntary, slot->base_block);
	out->n_preempt = pulse__since(p.involuntary, slot->base_preempt);
	out->n_migrate = pulse__since(p.migrations, slot->base_migrate);
	return 0;
}
