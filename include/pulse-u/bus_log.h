/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * bus_log.h - the last events of a topic, for who comes late or comes again.
 *
 * A *log* keeps the last events of a type or pattern in memory and numbers them,
 * from 1. A *reader* of it is a name and what it has had: it gets each event, in
 * order, acknowledges it, and gets again what it has not acknowledged in time, or
 * not before it was closed: at least once. A reader stays when it is closed; who
 * opens the same name goes on where it was. Several threads may read with one
 * reader: each event goes to one of them.
 *
 * What has been given out and not acknowledged is kept for as long as it takes,
 * up to max_unacked events a reader; what a reader has not had and is older than
 * the last ones is *missed*, and counted. Publishers never wait for a log.
 *
 * As durable consumers of NATS JetStream: acknowledgements, a time to wait for
 * one, a number of deliveries after which an event is a dead letter.
 */
#ifndef PULSE_U_BUS_LOG_H
#define PULSE_U_BUS_LOG_H

#include <pulse-u/bus.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_bus_log;
struct pulse_bus_reader;

/**
 * struct pulse_bus_log_opts - options of a log
 * @sz: sizeof(struct pulse_bus_log_opts)
 * @keep: events; 1 to 1048576; default 1000
 * @max_readers: names, open or not; default 64
 */
struct pulse_bus_log_opts {
	size_t sz;
	uint32_t keep;
	uint32_t max_readers;
};

/**
 * pulse_bus_log_create() - keep the last events of a type, or of a pattern
 * @bus: the bus, of which it is a subscriber
 * @type: type or pattern; copied
 * @opts: or NULL for the defaults
 * @out: the log
 *
 * It has what is published from then on.
 *
 * Return: 0; or as pulse_bus_subscribe().
 */
PULSE_API int pulse_bus_log_create(struct pulse_bus *bus, const char *type,
				   const struct pulse_bus_log_opts *opts,
				   struct pulse_bus_log **out);

/**
 * pulse_bus_log_destroy() - give a log and its readers back
 * @log: the log; before or after its bus
 *
 * Return: 0; -EBUSY a reader is open (nothing was done); -EINVAL; -EOWNERDEAD
 * in a forked child.
 */
PULSE_API int pulse_bus_log_destroy(struct pulse_bus_log *log);

/* struct pulse_bus_reader_opts.from: what comes from now on. */
#define PULSE_BUS_FROM_NOW	UINT64_MAX

/**
 * struct pulse_bus_reader_opts - options of a reader
 * @sz: sizeof(struct pulse_bus_reader_opts)
 * @name: copied; NULL: it has none, and is gone when it is closed
 * @from: number of the first event it gets; 0: the oldest there is;
 *	PULSE_BUS_FROM_NOW
 * @ack_wait_ns: after so long without an acknowledgement an event comes again;
 *	default 30 s; PULSE_FOREVER: not before the reader is opened again
 * @max_unacked: events that may be given out and not acknowledged; no more come
 *	before some of them are. 1 to 65536; default 256
 * @max_deliveries: times that an event is given out; after that it comes once
 *	more, as a dead letter. 0: again and again
 *
 * Where there is a reader of that name already, all but @name is as it was.
 */
struct pulse_bus_reader_opts {
	size_t sz;
	const char *name;
	uint64_t from;
	int64_t ack_wait_ns;
	uint32_t max_unacked;
	uint32_t max_deliveries;
};

/**
 * pulse_bus_log_open() - begin to read, or go on
 * @log: the log
 * @opts: or NULL: without a name, from the oldest event
 * @out: the reader
 *
 * What was not acknowledged when it was closed comes first.
 *
 * Return: 0; -EBUSY the reader is open; -ENOSPC max_readers are there; -ERANGE
 * @opts->from is past the next event; -EINVAL; -E2BIG; -ENOMEM; -EOWNERDEAD.
 */
PULSE_API int pulse_bus_log_open(struct pulse_bus_log *log,
				 const struct pulse_bus_reader_opts *opts,
				 struct pulse_bus_reader **out);

/**
 * pulse_bus_log_close() - read no more for now
 * @reader: of pulse_bus_log_open(); nobody may use it any more. Threads that wait
 *	in pulse_bus_log_next() get -ECANCELED.
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_log_close(struct pulse_bus_reader *reader);

/**
 * pulse_bus_log_forget() - have no such reader any more
 * @log: the log
 * @name: of the reader
 *
 * Return: 0; -ENOENT; -EBUSY it is open; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_bus_log_forget(struct pulse_bus_log *log, const char *name);

/**
 * struct pulse_bus_entry - an event that a reader got
 * @sz: sizeof(struct pulse_bus_entry), set by the caller
 * @event: a reference that is the caller's
 * @seq: its number
 * @deliveries: times that it was given out, with this one
 * @dead: 1: it was given out max_deliveries times and comes as a dead letter,
 *	which is not acknowledged; else 0
 */
struct pulse_bus_entry {
	size_t sz;
	struct pulse_bus_event *event;
	uint64_t seq;
	uint32_t deliveries;
	uint32_t dead;
};

/**
 * pulse_bus_log_next() - the next event
 * @reader: the reader
 * @deadline_ns: when to give up, absolute; 0 or past: only look; PULSE_FOREVER
 * @out: its sz is set
 *
 * First what is to come again, then what the reader has not had.
 *
 * Return: 0; -ETIMEDOUT; -ESHUTDOWN the bus is closed and all is acknowledged;
 * -ECANCELED the reader was closed meanwhile; -EINVAL; -E2BIG; -EOWNERDEAD.
 */
PULSE_API int pulse_bus_log_next(struct pulse_bus_reader *reader,
				 int64_t deadline_ns,
				 struct pulse_bus_entry *out);

/**
 * pulse_bus_log_ack() - an event is done
 * @reader: the reader
 * @seq: its number
 *
 * Also of an event that comes again just now to another thread.
 *
 * Return: 0; -ENOENT it is not waited for: acknowledged before, a dead letter or
 * never given out; -EINVAL; -EOWNERDEAD.
 */
PULSE_API int pulse_bus_log_ack(struct pulse_bus_reader *reader, uint64_t seq);

/**
 * pulse_bus_log_nack() - an event is not done, and is to come again
 * @reader: the reader
 * @seq: its number
 * @delay_ns: not before that; 0: at once
 *
 * Return: as pulse_bus_log_ack().
 */
PULSE_API int pulse_bus_log_nack(struct pulse_bus_reader *reader, uint64_t seq,
				 int64_t delay_ns);

/**
 * struct pulse_bus_reader_stats - what a reader has had
 * @sz: sizeof(struct pulse_bus_reader_stats), set by the caller
 * @next: number of the first event that it has not had
 * @waiting: events that are there for it and that it has not had
 * @unacked: given out and not acknowledged
 * @delivered: times that an event was given out
 * @redelivered: those of them that were not the first time
 * @acked: acknowledged
 * @missed: events that it has not had and will not have: they are too old
 * @dead: dead letters
 */
struct pulse_bus_reader_stats {
	size_t sz;
	uint64_t next;
	uint64_t waiting;
	uint64_t unacked;
	uint64_t delivered;
	uint64_t redelivered;
	uint64_t acked;
	uint64_t missed;
	uint64_t dead;
};

/**
 * pulse_bus_log_stats() - read what a reader has had
 * @reader: the reader
 * @out: its sz is set
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_log_stats(struct pulse_bus_reader *reader,
				  struct pulse_bus_reader_stats *out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_BUS_LOG_H */
