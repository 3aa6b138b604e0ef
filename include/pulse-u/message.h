/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * message.h - what is sent from one mailbox to another: a payload, who sent it,
 * how urgent it is, how long it is worth something, and what it answers.
 *
 * A message is one allocation, its texts and a copied payload included. A large
 * payload can be handed over instead: then only its address is kept, and a
 * function gives it back with the last reference.
 *
 * Messages are reference counted, and references may be taken and given back by
 * any thread. All else is for one thread at a time: who has built a message owns
 * it until it is sent, then the mailbox does, then who received it.
 */
#ifndef PULSE_U_MESSAGE_H
#define PULSE_U_MESSAGE_H

#include <pulse-u/base.h>
#include <pulse-u/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_message;

/* How urgent a message is; a mailbox gives out the more urgent ones first. */
enum pulse_message_priority {
	PULSE_MESSAGE_DEFAULT = 0,	/* normal */
	PULSE_MESSAGE_CRITICAL = 1,	/* at once */
	PULSE_MESSAGE_HIGH = 2,
	PULSE_MESSAGE_NORMAL = 3,
	PULSE_MESSAGE_LOW = 4,		/* background */
	PULSE_MESSAGE_BATCH = 5,	/* bulk */
};

#define PULSE_MESSAGE_PRIORITIES 5

/* What a message is about, beside its payload. */
enum pulse_signal {
	PULSE_SIGNAL_NONE = 0,
	/* lifecycle */
	PULSE_SIGNAL_RESTART,
	PULSE_SIGNAL_SHUTDOWN,
	PULSE_SIGNAL_TERMINATE,
	PULSE_SIGNAL_EXIT,
	/* execution control */
	PULSE_SIGNAL_SUSPEND,
	PULSE_SIGNAL_RESUME,
	/* health and monitoring */
	PULSE_SIGNAL_HEALTH_CHECK,
	PULSE_SIGNAL_MEMORY_WARNING,
	PULSE_SIGNAL_CPU_WARNING,
	PULSE_SIGNAL_DEADLOCK_DETECTED,
	/* operational */
	PULSE_SIGNAL_MESSAGE_ERR,
	PULSE_SIGNAL_INFO,
	PULSE_SIGNAL_WARNING,
	PULSE_SIGNAL_DEBUG,
	PULSE_SIGNAL_LOG,
	PULSE_SIGNAL_ALERT,
	PULSE_SIGNAL_METRIC,
	PULSE_SIGNAL_EVENT,
	PULSE_SIGNAL_HEARTBEAT,
	/* the program's own: this and all that follow, up to 65535 */
	PULSE_SIGNAL_CUSTOM,
};

#define PULSE_SIGNAL_MAX 65535

/* Longest text of a message (id, sender, correlation, reply-to), in bytes. */
#define PULSE_MESSAGE_TEXT_MAX	4095

/* Flags of struct pulse_message_opts. */
#define PULSE_MESSAGE_HAND_OVER	(1U << 0) /* keep @payload itself, no copy */
#define PULSE_MESSAGE_UNTIMED	(1U << 1) /* no time stamps: saves a look at the clock */

/**
 * struct pulse_message_opts - what a message is built of
 * @sz: sizeof(struct pulse_message_opts)
 * @payload: its content; copied, or with PULSE_MESSAGE_HAND_OVER kept as it is.
 *	NULL with @payload_bytes: room, to be filled in by the caller through
 *	pulse_message_payload()
 * @payload_bytes: length of @payload, up to 4 GiB - 1; the payload is aligned to
 *	16 where it is copied, and a 0 follows it (so that a text is one)
 * @sender: who sends it; these texts are copied, and NULL is none
 * @id: its name, where the caller gives names; see PULSE_MAILBOX_UNIQUE
 * @correlation: which request it belongs to
 * @reply_to: where an answer is to go
 * @ttl_ns: from now on, in nanoseconds, at least 1; default: what the mailbox
 *	says, which may be for ever
 * @tag: a number of the caller's own, for quick matching
 * @release: with PULSE_MESSAGE_HAND_OVER: called once with the payload when the
 *	last reference goes, by that thread; or NULL
 * @release_arg: for @release
 * @slab: where the message is to come from if it fits there; default the heap.
 *	Outlives the message. See pulse_message_bytes().
 * @priority: enum pulse_message_priority
 * @signal: enum pulse_signal, or a number of the program's from
 *	PULSE_SIGNAL_CUSTOM to PULSE_SIGNAL_MAX
 * @flags: PULSE_MESSAGE_* or 0
 * @reserved: 0
 */
struct pulse_message_opts {
	size_t sz;
	const void *payload;
	size_t payload_bytes;
	const char *sender;
	const char *id;
	const char *correlation;
	const char *reply_to;
	int64_t ttl_ns;
	uint64_t tag;
	void (*release)(void *payload, size_t bytes, void *arg);
	void *release_arg;
	struct pulse_slab *slab;
	uint32_t priority;
	uint32_t signal;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * pulse_message_create() - build a message
 * @opts: or NULL: an empty one
 * @out: the message, with one reference
 *
 * Where it fails, a payload that was to be handed over stays the caller's.
 *
 * Return: 0; -EINVAL also: a priority or a signal that there is not, a negative
 * @ttl_ns; -ENAMETOOLONG a text is over PULSE_MESSAGE_TEXT_MAX; -EMSGSIZE the
 * payload is too long; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_message_create(const struct pulse_message_opts *opts,
				   struct pulse_message **out);

/**
 * pulse_message_bytes() - how large a message would be
 * @opts: or NULL: an empty one
 *
 * What a slab's objects must have for such messages to come from it.
 *
 * Return: bytes; 0 for options that cannot be.
 */
PULSE_API size_t pulse_message_bytes(const struct pulse_message_opts *opts);

/**
 * pulse_message_share() - the same message once more, to be sent elsewhere too
 * @msg: the message
 * @out: a message of its own, with the same content and one reference
 *
 * A message can lie in one mailbox at a time. The new one has its own fields and
 * shows the payload and texts of @msg, which it keeps. @msg may be sent before
 * or after it.
 *
 * Return: 0; -EINVAL; -ENOMEM; -EOVERFLOW @msg has 2^31 - 1 references.
 */
PULSE_API int pulse_message_share(struct pulse_message *msg,
				  struct pulse_message **out);

/**
 * pulse_message_get() - take another reference
 * @msg: the message
 *
 * Return: 0; -EINVAL; -EOVERFLOW there are 2^31 - 1.
 */
PULSE_API int pulse_message_get(struct pulse_message *msg);

/**
 * pulse_message_put() - give a reference back
 * @msg: the message; NULL does nothing. With the last reference it goes.
 */
PULSE_API void pulse_message_put(struct pulse_message *msg);

/**
 * pulse_message_payload() - the content
 * @msg: the message
 * @bytes: out: its length; may be NULL
 *
 * To be written by nobody but who built the message, before it is sent.
 *
 * Return: its first byte; NULL where it has none, or for a NULL @msg.
 */
PULSE_API void *pulse_message_payload(const struct pulse_message *msg,
				      size_t *bytes);

/**
 * pulse_message_take_payload() - take over a payload that was handed over
 * @msg: the message, with no other reference and not shared
 * @payload: out: the content, which is the caller's to give back from now on
 * @bytes: out: its length; may be NULL
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP it lies in the message; -EBUSY others have
 * references.
 */
PULSE_API int pulse_message_take_payload(struct pulse_message *msg,
					 void **payload, size_t *bytes);

/**
 * pulse_message_sender() - who sent it
 * @msg: the message
 *
 * Return: the text, valid as long as the message; NULL: none.
 */
PULSE_API const char *pulse_message_sender(const struct pulse_message *msg);

/**
 * pulse_message_id() - its name
 * @msg: the message
 *
 * Return: as pulse_message_sender().
 */
PULSE_API const char *pulse_message_id(const struct pulse_message *msg);

/**
 * pulse_message_correlation() - which request it belongs to
 * @msg: the message
 *
 * Return: as pulse_message_sender(); until the next
 * pulse_message_set_correlation().
 */
PULSE_API const char *
pulse_message_correlation(const struct pulse_message *msg);

/**
 * pulse_message_reply_to() - where an answer is to go
 * @msg: the message
 *
 * Return: as pulse_message_sender(); until the next
 * pulse_message_set_reply_to().
 */
PULSE_API const char *pulse_message_reply_to(const struct pulse_message *msg);

/**
 * pulse_message_set_correlation() - say which request it belongs to
 * @msg: the message
 * @text: copied; NULL for none
 *
 * A second allocation: the options of pulse_message_create() need none.
 *
 * Return: 0; -EINVAL; -EBUSY it lies in a mailbox; -ENAMETOOLONG; -ENOMEM
 * (nothing was changed).
 */
PULSE_API int pulse_message_set_correlation(struct pulse_message *msg,
					    const char *text);

/**
 * pulse_message_set_reply_to() - say where an answer is to go
 * @msg: the message
 * @text: copied; NULL for none
 *
 * Return: as pulse_message_set_correlation().
 */
PULSE_API int pulse_message_set_reply_to(struct pulse_message *msg,
					 const char *text);

/**
 * pulse_message_set_tag() - the caller's own number
 * @msg: the message
 * @tag: any
 *
 * Return: 0; -EINVAL; -EBUSY it lies in a mailbox.
 */
PULSE_API int pulse_message_set_tag(struct pulse_message *msg, uint64_t tag);

/**
 * pulse_message_tag() - the caller's own number
 * @msg: the message
 *
 * Return: what was set; 0 for a NULL @msg.
 */
PULSE_API uint64_t pulse_message_tag(const struct pulse_message *msg);

/**
 * pulse_message_priority() - how urgent it is
 * @msg: the message
 *
 * Return: enum pulse_message_priority, never 0; -EINVAL.
 */
PULSE_API int pulse_message_priority(const struct pulse_message *msg);

/**
 * pulse_message_signal() - what it is about
 * @msg: the message
 *
 * Return: enum pulse_signal or a number of the program's; -EINVAL.
 */
PULSE_API int pulse_message_signal(const struct pulse_message *msg);

/**
 * pulse_message_expired() - is it worth nothing any more?
 * @msg: the message
 *
 * Return: 1 its time to live is over; 0; -EINVAL.
 */
PULSE_API int pulse_message_expired(const struct pulse_message *msg);

/**
 * struct pulse_message_times - when what happened to a message
 * @sz: sizeof(struct pulse_message_times), set by the caller
 * @created_ns: it was built; 0 with PULSE_MESSAGE_UNTIMED
 * @sent_ns: a mailbox took it, where that keeps times; else 0
 * @received_ns: it was taken out, where the mailbox keeps times; else 0
 * @expires_ns: its time to live ends; PULSE_FOREVER for none
 *
 * All as pulse_now_ns().
 */
struct pulse_message_times {
	size_t sz;
	int64_t created_ns;
	int64_t sent_ns;
	int64_t received_ns;
	int64_t expires_ns;
};

/**
 * pulse_message_times() - when what happened to a message
 * @msg: the message
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_message_times(const struct pulse_message *msg,
				  struct pulse_message_times *out);

/**
 * pulse_priority_name() - name of an enum pulse_message_priority
 * @priority: the priority
 *
 * Return: "critical", "high", "normal", "low", "batch" or "unknown"; static.
 */
PULSE_API const char *pulse_priority_name(int priority);

/**
 * pulse_signal_name() - name of an enum pulse_signal
 * @signal: the signal
 *
 * Return: "none", "restart", ... "heartbeat", "custom" for the program's own, or
 * "unknown"; static.
 */
PULSE_API const char *pulse_signal_name(int signal);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_MESSAGE_H */
