// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wire.c - a message as bytes that another process reads. What is read is
 * believed in nothing: every length is held against what there is.
 */
#include "mailbox/shmbox.h"

size_t pulse__wire_write(unsigned char *slot, size_t room,
			 const struct pulse_message *msg, int64_t sent_ns,
			 int64_t default_ttl_ns)
{
	struct pulse__wire w = {
		.payload = msg->bytes,
		.signal = msg->signal,
		.queue = msg->queue,
		.tag = msg->tag,
		.expires_ns = msg->expires_ns,
		.ttl_ns = msg->ttl_ns,
		.created_ns = msg->created_ns,
		.sent_ns = sent_ns,
	};
	size_t all = sizeof(w) + (size_t)msg->bytes;
	unsigned char *at = slot + sizeof(w);

	for (int i = 0; i < PULSE__TEXTS; i++) {
		if (msg->text[i])
			w.text[i] = (uint16_t)(strlen(msg->text[i]) + 1);
		all += w.text[i];
	}
	if (all > room)
		return 0;
	w.all = (uint32_t)all;
	if (default_ttl_ns && !w.ttl_ns) {
		w.ttl_ns = default_ttl_ns;
		w.expires_ns = pulse__deadline_after(sent_ns, default_ttl_ns);
	}
	memcpy(slot, &w, sizeof(w));
	for (int i = 0; i < PULSE__TEXTS; i++) {
		if (w.text[i])
			memcpy(at, msg->text[i], w.text[i]);
		at += w.text[i];
	}
	if (msg->bytes)
		memcpy(at, msg->payload, msg->bytes);
	return all;
}

int pulse__wire_read(const unsigned char *slot, size_t bytes,
		     struct pulse_message **out)
{
	const char *text[PULSE__TEXTS] = { NULL };
	const unsigned char *at = slot + sizeof(struct pulse__wire);
	struct pulse_message_opts o = { .sz = sizeof(o) };
	struct pulse__wire w;
	size_t all = sizeof(w);
	int err;

	memcpy(&w, slot, sizeof(w));
	if (w.queue >= PULSE_MESSAGE_PRIORITIES || w.ttl_ns < 0)
		return -EPROTO;
	for (int i = 0; i < PULSE__TEXTS; i++)
		all += w.text[i];
	if (w.all > bytes || all + w.payload != w.all)
		return -EPROTO;
	for (int i = 0; i < PULSE__TEXTS; i++) {
		if (!w.text[i])
			continue;
		/* One 0, at the end. */
		if (strnlen((const char *)at, w.text[i]) + 1 != w.text[i] ||
		    w.text[i] > PULSE_MESSAGE_TEXT_MAX + 1)
			return -EPROTO;
		text[i] = (const char *)at;
		at += w.text[i];
	}
	o.payload = w.payload ? at : NULL;
	o.payload_bytes = w.payload;
	o.sender = text[PULSE__TEXT_SENDER];
	o.id = text[PULSE__TEXT_ID];
	o.correlation = text[PULSE__TEXT_CORRELATION];
	o.reply_to = text[PULSE__TEXT_REPLY_TO];
	o.ttl_ns = w.ttl_ns;
	o.tag = w.tag;
	o.priority = w.queue + 1U;
	o.signal = w.signal;
	err = pulse__message_make(&o, w.created_ns, out);
	if (err)
		return err;
	(*out)->expires_ns = w.expires_ns;
	(*out)->sent_ns = w.sent_ns;
	return 0;
}
