// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation fails in turn where something is kept for later: dead letters,
 * a log of a bus, a file of settings. What is kept stays. U04
 */
#include <fcntl.h>
#include <unistd.h>

#include <pulse-u/bus.h>
#include <pulse-u/bus_log.h>
#include <pulse-u/control.h>
#include <pulse-u/mailbox_shared.h>

#include "no_memory.h"

static int count_dead(const struct pulse_message *msg, int reason, void *arg)
{
	(void)msg;
	(void)reason;
	++*(int *)arg;
	return 0;
}

static int put_one(struct pulse_shmbox_tx *tx)
{
	PULSE_OPTS(pulse_message_opts, o, .payload_bytes = 8);
	struct pulse_message *msg;
	int err = pulse_message_create(&o, &msg);

	if (err)
		return err;
	memcpy(pulse_message_payload(msg, NULL), "7 bytes", 8);
	err = pulse_shmbox_send(tx, msg);
	pulse_message_put(msg);
	return err;
}

static int receive_one(struct pulse_shmbox_rx *rx, struct pulse_message **msg)
{
	return pulse_shmbox_receive(rx, pulse_now_ns(), msg);
}

/* One letter is dead; it is looked at, sent again, rejected again and taken. */
static int look_at_dead(struct pulse_shmbox *mb, struct pulse_shmbox_tx *tx,
			struct pulse_shmbox_rx *rx)
{
	struct pulse_message *msg = NULL;
	int nr = 0, reason = 0, err;

	err = pulse_shmbox_dead_each(mb, count_dead, &nr);
	if (err)
		return err;
	KT_EQ(nr, 1);
	err = pulse_shmbox_redeliver(mb, tx, 1);
	if (err < 0) {
		KT_EQ(pulse_shmbox_dead_count(mb), 1);
		return err;
	}
	KT_EQ(err, 1);
	KT_EQ(pulse_shmbox_dead_count(mb), 0);
	err = receive_one(rx, &msg);
	if (err)
		return err;
	pulse_message_put(msg);
	KT_EQ(pulse_shmbox_reject(rx), 0);
	err = pulse_shmbox_dead_take(mb, &msg, &reason);
	KT_EQ(pulse_shmbox_dead_count(mb), err ? 1 : 0);
	if (err)
		return err;
	KT_EQ(reason, PULSE_DEAD_REJECTED);
	KT_CHECK(!memcmp(pulse_message_payload(msg, NULL), "7 bytes", 8));
	pulse_message_put(msg);
	return 0;
}

static int life_of_dead_letters(void)
{
	PULSE_OPTS(pulse_shmbox_opts, o, .slots = 4, .slot_bytes = 256,
		   .senders = 2, .dead_letters = 4);
	struct pulse_shmbox_tx *tx = NULL;
	struct pulse_shmbox_rx *rx = NULL;
	struct pulse_message *msg = NULL;
	struct pulse_shmbox *mb = NULL;
	int err = pulse_shmbox_create(&o, &mb);

	if (!err)
		err = pulse_shmbox_tx_open(mb, &tx);
	if (!err)
		err = pulse_shmbox_rx_open(mb, -1, &rx);
	if (!err)
		err = put_one(tx);
	if (!err)
		err = receive_one(rx, &msg);
	if (!KT_EQ(err, 0))
		return err;
	pulse_message_put(msg);
	KT_EQ(pulse_shmbox_reject(rx), 0);
	from_here();
	err = look_at_dead(mb, tx, rx);
	KT_EQ(pulse_shmbox_rx_close(rx), 0);
	KT_EQ(pulse_shmbox_tx_close(tx), 0);
	KT_EQ(pulse_shmbox_destroy(mb), 0);
	return err;
}

KT_TEST(dead_letters)
{
	each_may_fail("dead letters", life_of_dead_letters);
}

/* The log and a reader with a name; the event is there whatever failed. */
static int life_of_a_log(void)
{
	PULSE_OPTS(pulse_bus_event_opts, ev_opts, .type = "a.b", .source = "here");
	PULSE_OPTS(pulse_bus_reader_opts, named, .name = "reader", .from = 1);
	PULSE_OPTS(pulse_bus_log_opts, o, .keep = 8);
	struct pulse_bus_entry e = { .sz = sizeof(e) };
	struct pulse_bus_reader *r = NULL;
	struct pulse_bus_event *ev = NULL;
	struct pulse_bus_log *log = NULL;
	struct pulse_bus *bus = NULL;
	int err;

	KT_EQ(pulse_bus_create(NULL, &bus), 0);
	KT_EQ(pulse_bus_event_create(&ev_opts, &ev), 0);
	from_here();
	err = pulse_bus_log_create(bus, "a.>", &o, &log);
	if (!err) {
		err = pulse_bus_publish(bus, ev);
		err = err < 0 ? err : 0;
	}
	if (!err)
		err = pulse_bus_log_open(log, &named, &r);
	if (!err) {
		KT_EQ(pulse_bus_log_next(r, pulse_now_ns(), &e), 0);
		KT_EQ(pulse_bus_log_ack(r, e.seq), 0);
		pulse_bus_event_put(e.event);
	}
	if (r)
		KT_EQ(pulse_bus_log_close(r), 0);
	if (log)
		KT_EQ(pulse_bus_log_destroy(log), 0);
	pulse_bus_event_put(ev);
	KT_EQ(pulse_bus_destroy(bus), 0);
	return err;
}

KT_TEST(a_log_of_a_bus)
{
	each_may_fail("a log", life_of_a_log);
}

static char file[64];

/* A file of many lines: its text and its lines grow. All of it holds or none. */
static int life_of_a_file(void)
{
	struct pulse_control *control = NULL;
	char why[PULSE_WHY_MAX], name[16];
	int knobs[40], err;

	KT_EQ(pulse_control_create(NULL, &control), 0);
	for (int i = 0; i < 40; i++) {
		PULSE_OPTS(pulse_knob, knob, .name = name, .min = 0,
			   .type = PULSE_KNOB_INT, .max = 100, .value = 50);

		snprintf(name, sizeof(name), "size%d", i);
		knobs[i] = pulse_control_define(control, &knob);
		KT_CHECK(knobs[i] >= 0);
	}
	from_here();
	err = pulse_control_load(control, file, why, sizeof(why));
	for (int i = 0; i < 40; i++)
		KT_EQ(pulse_control_int(control, knobs[i], -1), err ? 50 : i);
	KT_EQ(pulse_control_destroy(control), 0);
	return err < 0 ? err : 0;
}

KT_TEST(a_file_of_settings)
{
	int fd;

	snprintf(file, sizeof(file), "/tmp/pulse-no-memory-%d.conf", getpid());
	fd = open(file, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (!KT_CHECK(fd >= 0))
		return;
	for (int i = 0; i < 40; i++)
		dprintf(fd, "size%d = %d\t# %0200d\n", i, i, i);
	close(fd);
	each_may_fail("a file", life_of_a_file);
	unlink(file);
}

KT_MAIN()
