// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * message.c - messages are built, counted, read and given back.
 */
#include "mailbox/message.h"
#include "mem/slab.h"

static const char *pulse__opts_text(const struct pulse_message_opts *o,
				    unsigned int i)
{
	switch (i) {
	case PULSE__TEXT_SENDER:
		return o->sender;
	case PULSE__TEXT_ID:
		return o->id;
	case PULSE__TEXT_CORRELATION:
		return o->correlation;
	default:
		return o->reply_to;
	}
}

/* Bytes of all of it, and of each text with its 0. */
static int pulse__message_size(const struct pulse_message_opts *o, size_t *all,
			       size_t len[PULSE__TEXTS])
{
	size_t bytes = sizeof(struct pulse_message);

	if (o->payload_bytes > UINT32_MAX)
		return -EMSGSIZE;
	if (!(o->flags & PULSE_MESSAGE_HAND_OVER) && o->payload_bytes)
		bytes += o->payload_bytes + 1;
	for (unsigned int i = 0; i < PULSE__TEXTS; i++) {
		const char *text = pulse__opts_text(o, i);

		len[i] = 0;
		if (!text)
			continue;
		len[i] = strnlen(text, PULSE_MESSAGE_TEXT_MAX + 1) + 1;
		if (len[i] > PULSE_MESSAGE_TEXT_MAX + 1)
			return -ENAMETOOLONG;
		bytes += len[i];
	}
	*all = bytes;
	return 0;
}

/* *@opts as they are to be read: the caller's own, where they are of this version. */
static int pulse__message_opts(struct pulse_message_opts *o,
			       const struct pulse_message_opts **opts)
{
	const struct pulse_message_opts *from = *opts;
	bool over;
	int err;

	if (unlikely(!from || from->sz != sizeof(*o))) {
		err = pulse__opts_load(o, sizeof(*o),
				       pulse__size_to(typeof(*o), reserved),
				       from);
		if (err)
			return err;
		*opts = from = o;
	}
	over = from->flags & PULSE_MESSAGE_HAND_OVER;
	if (from->priority > PULSE_MESSAGE_BATCH || from->ttl_ns < 0 ||
	    from->signal > PULSE_SIGNAL_MAX || from->reserved ||
	    from->flags & ~(PULSE_MESSAGE_HAND_OVER | PULSE_MESSAGE_UNTIMED) ||
	    (from->payload && !from->payload_bytes && !over) ||
	    (over ? !from->payload : from->release || from->release_arg))
		return -EINVAL;
	return 0;
}

static int pulse__message_alloc(struct pulse_slab *slab, size_t bytes,
				struct pulse_message **out)
{
	void *mem;
	int err;

	/* Its objects may be aligned to less than a message is. */
	if (slab && bytes <= slab->stride && !(slab->stride % 16) &&
	    !(slab->first_offset % 16)) {
		err = pulse_slab_alloc(slab, &mem);
		if (err)
			return err;
	} else {
		slab = NULL;
		mem = pulse__malloc(bytes);
		if (!mem)
			return -ENOMEM;
	}
	*out = mem;
	memset(mem, 0, sizeof(**out));
	(*out)->slab = slab;
	(*out)->refs = 1;
	(*out)->magic = PULSE__MESSAGE_MAGIC;
	return 0;
}

int pulse__message_make(const struct pulse_message_opts *o, int64_t now_ns,
			struct pulse_message **out)
{
	size_t bytes, len[PULSE__TEXTS];
	struct pulse_message *msg;
	unsigned char *at;
	int err = pulse__message_size(o, &bytes, len);

	if (!err)
		err = pulse__message_alloc(o->slab, bytes, &msg);
	if (err)
		return err;
	msg->expires_ns = PULSE_FOREVER;
	msg->created_ns = now_ns;
	msg->ttl_ns = o->ttl_ns;
	msg->tag = o->tag;
	msg->signal = (uint16_t)o->signal;
	msg->queue = (uint8_t)((o->priority ? o->priority :
				PULSE_MESSAGE_NORMAL) - 1);
	msg->bytes = (uint32_t)o->payload_bytes;
	at = msg->data;
	if (o->flags & PULSE_MESSAGE_HAND_OVER) {
		msg->handed_over = 1;
		/* Its owner's, who lets it be read and given back. */
		msg->payload = (void *)(uintptr_t)o->payload;
		msg->release = o->release;
		msg->release_arg = o->release_arg;
	} else if (o->payload_bytes) {
		msg->payload = at;
		if (o->payload)
			memcpy(at, o->payload, o->payload_bytes);
		else
			memset(at, 0, o->payload_bytes);
		at += o->payload_bytes;
		*at++ = 0;
	}
	for (unsigned int i = 0; i < PULSE__TEXTS; i++) {
		if (!len[i])
			continue;
		memcpy(at, pulse__opts_text(o, i), len[i]);
		msg->text[i] = (const char *)at;
		at += len[i];
	}
	*out = msg;
	return 0;
}

int pulse_message_create(const struct pulse_message_opts *opts,
			 struct pulse_message **out)
{
	struct pulse_message_opts o;
	int64_t now = 0;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__message_opts(&o, &opts);
	if (err)
		return err;
	if (opts->ttl_ns || !(opts->flags & PULSE_MESSAGE_UNTIMED))
		now = pulse_now_ns();
	err = pulse__message_make(opts, now, out);
	if (!err && opts->ttl_ns)
		(*out)->expires_ns = pulse__deadline_after(now, opts->ttl_ns);
	return err;
}

size_t pulse_message_bytes(const struct pulse_message_opts *opts)
{
	size_t bytes, len[PULSE__TEXTS];
	struct pulse_message_opts o;

	if (pulse__message_opts(&o, &opts) ||
	    pulse__message_size(opts, &bytes, len))
		return 0;
	return bytes;
}

/* ---- references -------------------------------------------------------- */

int pulse__refs_get(uint32_t *refs)
{
	uint32_t old = READ_ONCE(*refs);

	do {
		if (old >= PULSE__REFS_MAX)
			return -EOVERFLOW;
	} while (!pulse__cas(refs, &old, old + 1, __ATOMIC_RELAXED,
			     __ATOMIC_RELAXED));
	return 0;
}

int pulse_message_get(struct pulse_message *msg)
{
	if (!msg)
		return -EINVAL;
	pulse__obj_check(msg, PULSE__MESSAGE_MAGIC, "pulse_message_get");
	return pulse__refs_get(&msg->refs);
}

int pulse_message_share(struct pulse_message *msg, struct pulse_message **out)
{
	struct pulse_message *copy;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse_message_get(msg);
	if (err)
		return err;
	err = pulse__message_alloc(msg->slab, sizeof(*copy), &copy);
	if (err) {
		pulse_message_put(msg);
		return err;
	}
	copy->expires_ns = msg->expires_ns;
	copy->bytes = msg->bytes;
	copy->payload = msg->payload;
	copy->tag = msg->tag;
	copy->signal = msg->signal;
	copy->queue = msg->queue;
	memcpy(copy->text, msg->text, sizeof(copy->text));
	copy->ttl_ns = msg->ttl_ns;
	copy->created_ns = msg->created_ns;
	copy->parent = msg;
	*out = copy;
	return 0;
}

static void pulse__message_free(struct pulse_message *msg)
{
	for (unsigned int i = 0; unlikely(msg->owned) && i < PULSE__TEXTS; i++) {
		if (msg->owned & 1U << i)
			pulse__free((void *)(uintptr_t)msg->text[i]);
	}
	if (msg->release)
		msg->release(msg->payload, msg->bytes, msg->release_arg);
	msg->magic = PULSE__MAGIC_DEAD;
	if (msg->slab)
		pulse_slab_free(msg->slab, msg);
	else
		pulse__free(msg);
}

void pulse_message_put(struct pulse_message *msg)
{
	/* A shared one's parents in turn, however many. */
	while (msg) {
		struct pulse_message *parent = msg->parent;

		pulse__obj_check(msg, PULSE__MESSAGE_MAGIC,
				 "pulse_message_put");
		/*
		 * Acquire and release: what others did with it is over. The
		 * last one need not write what nobody else reads.
		 */
		if (pulse__load_acquire(&msg->refs) != 1 &&
		    __atomic_fetch_sub(&msg->refs, 1, __ATOMIC_ACQ_REL) != 1)
			return;
		pulse__message_free(msg);
		msg = parent;
	}
}

/* ---- fields ------------------------------------------------------------ */

void *pulse_message_payload(const struct pulse_message *msg, size_t *bytes)
{
	if (bytes)
		*bytes = msg ? msg->bytes : 0;
	return msg ? msg->payload : NULL;
}

int pulse_message_take_payload(struct pulse_message *msg, void **payload,
			       size_t *bytes)
{
	if (payload)
		*payload = NULL;
	if (!msg || !payload)
		return -EINVAL;
	if (!msg->handed_over)
		return -EOPNOTSUPP;
	if (READ_ONCE(msg->lies) || pulse__load_acquire(&msg->refs) != 1)
		return -EBUSY;
	*payload = msg->payload;
	if (bytes)
		*bytes = msg->bytes;
	msg->payload = NULL;
	msg->bytes = 0;
	msg->release = NULL;
	msg->handed_over = 0;
	return 0;
}

const char *pulse_message_sender(const struct pulse_message *msg)
{
	return msg ? msg->text[PULSE__TEXT_SENDER] : NULL;
}

const char *pulse_message_id(const struct pulse_message *msg)
{
	return msg ? msg->text[PULSE__TEXT_ID] : NULL;
}

const char *pulse_message_correlation(const struct pulse_message *msg)
{
	return msg ? msg->text[PULSE__TEXT_CORRELATION] : NULL;
}

const char *pulse_message_reply_to(const struct pulse_message *msg)
{
	return msg ? msg->text[PULSE__TEXT_REPLY_TO] : NULL;
}

static int pulse__message_set(struct pulse_message *msg, enum pulse__text i,
			      const char *text)
{
	char *copy = NULL;

	if (!msg)
		return -EINVAL;
	/* Those who share it look at its texts. */
	if (READ_ONCE(msg->lies) || pulse__load_acquire(&msg->refs) != 1)
		return -EBUSY;
	if (text) {
		if (strnlen(text, PULSE_MESSAGE_TEXT_MAX + 1) >
		    PULSE_MESSAGE_TEXT_MAX)
			return -ENAMETOOLONG;
		copy = pulse__strdup(text);
		if (!copy)
			return -ENOMEM;
	}
	if (msg->owned & 1U << i)
		pulse__free((void *)(uintptr_t)msg->text[i]);
	msg->text[i] = copy;
	msg->owned = (uint8_t)((msg->owned & ~(1U << i)) |
			       (copy ? 1U << i : 0));
	return 0;
}

int pulse_message_set_correlation(struct pulse_message *msg, const char *text)
{
	return pulse__message_set(msg, PULSE__TEXT_CORRELATION, text);
}

int pulse_message_set_reply_to(struct pulse_message *msg, const char *text)
{
	return pulse__message_set(msg, PULSE__TEXT_REPLY_TO, text);
}

int pulse_message_set_tag(struct pulse_message *msg, uint64_t tag)
{
	if (!msg)
		return -EINVAL;
	if (READ_ONCE(msg->lies))
		return -EBUSY;
	msg->tag = tag;
	return 0;
}

uint64_t pulse_message_tag(const struct pulse_message *msg)
{
	return msg ? msg->tag : 0;
}

int pulse_message_priority(const struct pulse_message *msg)
{
	return msg ? msg->queue + 1 : -EINVAL;
}

int pulse_message_signal(const struct pulse_message *msg)
{
	return msg ? msg->signal : -EINVAL;
}

int pulse_message_expired(const struct pulse_message *msg)
{
	int64_t now = 0;

	return msg ? pulse__message_over(msg, &now) : -EINVAL;
}

int pulse_message_times(const struct pulse_message *msg,
			struct pulse_message_times *out)
{
	struct pulse_message_times t;
	int err;

	if (!msg)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(t), expires_ns));
	if (err)
		return err;
	t = (struct pulse_message_times){
		.created_ns = msg->created_ns,
		.sent_ns = msg->sent_ns,
		.received_ns = msg->received_ns,
		.expires_ns = msg->expires_ns,
	};
	pulse__out_store(out, &t, sizeof(t));
	return 0;
}

/* ---- names ------------------------------------------------------------- */

const char *pulse_priority_name(int priority)
{
	static const char * const names[] = {
		[PULSE_MESSAGE_CRITICAL] = "critical",
		[PULSE_MESSAGE_HIGH] = "high",
		[PULSE_MESSAGE_NORMAL] = "normal",
		[PULSE_MESSAGE_LOW] = "low",
		[PULSE_MESSAGE_BATCH] = "batch",
	};

	return priority >= PULSE_MESSAGE_CRITICAL &&
	       priority <= PULSE_MESSAGE_BATCH ? names[priority] : "unknown";
}

const char *pulse_signal_name(int signal)
{
	static const char * const names[] = {
		[PULSE_SIGNAL_NONE] = "none",
		[PULSE_SIGNAL_RESTART] = "restart",
		[PULSE_SIGNAL_SHUTDOWN] = "shutdown",
		[PULSE_SIGNAL_TERMINATE] = "terminate",
		[PULSE_SIGNAL_EXIT] = "exit",
		[PULSE_SIGNAL_SUSPEND] = "suspend",
		[PULSE_SIGNAL_RESUME] = "resume",
		[PULSE_SIGNAL_HEALTH_CHECK] = "health_check",
		[PULSE_SIGNAL_MEMORY_WARNING] = "memory_warning",
		[PULSE_SIGNAL_CPU_WARNING] = "cpu_warning",
		[PULSE_SIGNAL_DEADLOCK_DETECTED] = "deadlock_detected",
		[PULSE_SIGNAL_MESSAGE_ERR] = "message_err",
		[PULSE_SIGNAL_INFO] = "info",
		[PULSE_SIGNAL_WARNING] = "warning",
		[PULSE_SIGNAL_DEBUG] = "debug",
		[PULSE_SIGNAL_LOG] = "log",
		[PULSE_SIGNAL_ALERT] = "alert",
		[PULSE_SIGNAL_METRIC] = "metric",
		[PULSE_SIGNAL_EVENT] = "event",
		[PULSE_SIGNAL_HEARTBEAT] = "heartbeat",
		[PULSE_SIGNAL_CUSTOM] = "custom",
	};

	if (signal < 0 || signal > PULSE_SIGNAL_MAX)
		return "unknown";
	return names[signal < PULSE_SIGNAL_CUSTOM ? signal :
		     PULSE_SIGNAL_CUSTOM];
}
