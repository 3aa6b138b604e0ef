/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * bus.h - an event bus: events by type, to whoever subscribed.
 *
 * An event has a type, which is a topic of words with dots between them
 * ("cache.hit"), a source, a payload, metadata and a trace id. It is counted:
 * one event goes to any number of subscribers, none of which may change it.
 * A subscription has a queue of its own and either takes events out of it
 * (pulse_bus_receive()) or has a handler called for each, in a worker of the
 * bus's pool, one call at a time for one subscription.
 *
 * Order: what one thread publishes with pulse_bus_publish() reaches each
 * subscriber in that order, and so does what it publishes with
 * pulse_bus_publish_async(); between the two there is none.
 *
 * A pattern of pulse_bus_subscribe() is a topic in which "*" stands for any one
 * word, and ">" at the end for one or more words: "cache.*", "system.>", ">".
 */
#ifndef PULSE_U_BUS_H
#define PULSE_U_BUS_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_pool;
struct pulse_token;

/* ---- types that programs agree on ---------------------------------------- */

#define PULSE_BUS_PROVIDER_REGISTERED		"provider.registered"
#define PULSE_BUS_PROVIDER_UNREGISTERED		"provider.unregistered"
#define PULSE_BUS_PROVIDER_HEALTH_CHANGED	"provider.health.changed"
#define PULSE_BUS_PROVIDER_SCORE_UPDATED	"provider.score.updated"
#define PULSE_BUS_MCP_SERVER_CONNECTED		"mcp.server.connected"
#define PULSE_BUS_MCP_SERVER_DISCONNECTED	"mcp.server.disconnected"
#define PULSE_BUS_MCP_SERVER_HEALTH_CHANGED	"mcp.server.health.changed"
#define PULSE_BUS_MCP_TOOL_EXECUTED		"mcp.tool.executed"
#define PULSE_BUS_MCP_TOOL_FAILED		"mcp.tool.failed"
#define PULSE_BUS_DEBATE_STARTED		"debate.started"
#define PULSE_BUS_DEBATE_ROUND_STARTED		"debate.round.started"
#define PULSE_BUS_DEBATE_ROUND_COMPLETED	"debate.round.completed"
#define PULSE_BUS_DEBATE_COMPLETED		"debate.completed"
#define PULSE_BUS_DEBATE_FAILED			"debate.failed"
#define PULSE_BUS_CACHE_HIT			"cache.hit"
#define PULSE_BUS_CACHE_MISS			"cache.miss"
#define PULSE_BUS_CACHE_INVALIDATED		"cache.invalidated"
#define PULSE_BUS_CACHE_EXPIRED			"cache.expired"
#define PULSE_BUS_SYSTEM_STARTUP		"system.startup"
#define PULSE_BUS_SYSTEM_SHUTDOWN		"system.shutdown"
#define PULSE_BUS_SYSTEM_HEALTH_CHECK		"system.health.check"
#define PULSE_BUS_SYSTEM_ERROR			"system.error"
#define PULSE_BUS_REQUEST_RECEIVED		"request.received"
#define PULSE_BUS_REQUEST_COMPLETED		"request.completed"
#define PULSE_BUS_REQUEST_FAILED		"request.failed"

/* ---- events --------------------------------------------------------------- */

/* Bytes of a type or pattern, without its end. */
#define PULSE_BUS_TYPE_MAX	255

/**
 * struct pulse_bus_event - an event, counted
 *
 * Whoever makes it may add to it until it is first published; from then on
 * nobody changes it, and any number of threads may read it.
 */
struct pulse_bus_event;

/**
 * struct pulse_bus_event_opts - what an event says
 * @sz: sizeof(struct pulse_bus_event_opts)
 * @type: its topic, without wildcards; copied
 * @source: who says it, copied; default ""
 * @payload: bytes, copied; or, with @payload_free, taken over as they are
 * @payload_bytes: how many
 * @payload_free: called with @payload when the event is given back, in
 *	whatever thread does that; NULL: @payload is copied
 * @trace_id: copied; or NULL
 */
struct pulse_bus_event_opts {
	size_t sz;
	const char *type;
	const char *source;
	const void *payload;
	size_t payload_bytes;
	void (*payload_free)(void *payload);
	const char *trace_id;
};

/**
 * pulse_bus_event_create() - make an event
 * @opts: what it says
 * @out: the event, one reference
 *
 * Takes memory once, for all of it. Where it fails, @payload stays the
 * caller's.
 *
 * Return: 0; -EINVAL also: the type is empty, too long, has an empty word, a
 * wildcard or a blank; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_bus_event_create(const struct pulse_bus_event_opts *opts,
				     struct pulse_bus_event **out);

/**
 * pulse_bus_event_get() - another reference
 * @event: the event, or NULL
 *
 * Return: @event.
 */
PULSE_API struct pulse_bus_event *
pulse_bus_event_get(struct pulse_bus_event *event);

/**
 * pulse_bus_event_put() - give a reference back
 * @event: the event; NULL does nothing
 */
PULSE_API void pulse_bus_event_put(struct pulse_bus_event *event);

/**
 * pulse_bus_event_with_trace_id() - say which trace an event belongs to
 * @event: not published yet
 * @trace_id: copied; replaces the one there is
 *
 * Return: 0; -EBUSY it is published; -ENOMEM; -EINVAL.
 */
PULSE_API int pulse_bus_event_with_trace_id(struct pulse_bus_event *event,
					    const char *trace_id);

/**
 * pulse_bus_event_with_metadata() - add to what an event says
 * @event: not published yet
 * @key: copied, not empty
 * @value: copied; replaces the one that @key has
 *
 * Return: 0; -EBUSY it is published; -ENOMEM; -EINVAL.
 */
PULSE_API int pulse_bus_event_with_metadata(struct pulse_bus_event *event,
					    const char *key, const char *value);

/**
 * pulse_bus_event_type() - an event's type
 * @event: the event
 *
 * Return: lives as long as the event; NULL where @event is.
 */
PULSE_API const char *pulse_bus_event_type(const struct pulse_bus_event *event);

/**
 * pulse_bus_event_source() - who says it
 * @event: the event
 *
 * Return: lives as long as the event; "" nobody; NULL where @event is.
 */
PULSE_API const char *
pulse_bus_event_source(const struct pulse_bus_event *event);

/**
 * pulse_bus_event_trace_id() - which trace it belongs to
 * @event: the event
 *
 * Return: lives as long as the event; NULL none.
 */
PULSE_API const char *
pulse_bus_event_trace_id(const struct pulse_bus_event *event);

/**
 * pulse_bus_event_metadata() - what an event says besides
 * @event: the event
 * @key: of pulse_bus_event_with_metadata()
 *
 * Return: lives as long as the event; NULL there is no such key.
 */
PULSE_API const char *
pulse_bus_event_metadata(const struct pulse_bus_event *event, const char *key);

/**
 * pulse_bus_event_metadata_at() - all of it, one after the other
 * @event: the event
 * @index: from 0, in the order in which keys were added
 * @key: lives as long as the event
 * @value: lives as long as the event
 *
 * Return: 0; -ENOENT there are not so many; -EINVAL.
 */
PULSE_API int pulse_bus_event_metadata_at(const struct pulse_bus_event *event,
					  size_t index, const char **key,
					  const char **value);

/**
 * pulse_bus_event_payload() - an event's payload
 * @event: the event
 * @bytes: how many there are, or NULL
 *
 * Return: lives as long as the event, not to be written; copied ones are
 * aligned to 16 bytes; NULL there is none.
 */
PULSE_API const void *
pulse_bus_event_payload(const struct pulse_bus_event *event, size_t *bytes);

/**
 * pulse_bus_event_id() - an event's number
 * @event: the event
 *
 * Return: not 0, and no other event's of this process; 0 where @event is NULL.
 */
PULSE_API uint64_t pulse_bus_event_id(const struct pulse_bus_event *event);

/**
 * pulse_bus_event_time() - when an event was made
 * @event: the event
 *
 * Return: nanoseconds of CLOCK_REALTIME; 0 where @event is NULL.
 */
PULSE_API int64_t pulse_bus_event_time(const struct pulse_bus_event *event);

/* ---- a bus ---------------------------------------------------------------- */

struct pulse_bus;
struct pulse_bus_sub;

/* What becomes of an event for a subscriber whose queue is full. */
enum pulse_bus_policy {
	PULSE_BUS_POLICY_DEFAULT = 0,	/* of a subscription: the bus's; of a bus: block */
	PULSE_BUS_BLOCK = 1,		/* the publisher waits; after its time the event is dropped */
	PULSE_BUS_DROP_OLDEST = 2,	/* the oldest event in the queue makes room */
	PULSE_BUS_DROP_NEWEST = 3,	/* the event is dropped */
	PULSE_BUS_DISCONNECT = 4,	/* the subscription ends */
};

/**
 * struct pulse_bus_opts - options of pulse_bus_create()
 * @sz: sizeof(struct pulse_bus_opts)
 * @buffer_size: events that a subscriber's queue holds, where it does not say
 *	so itself; 1 to 1048576; default 1000. Memory grows with what is queued.
 * @max_subscribers: up to 16777216; default 100
 * @publish_timeout_ns: how long a publisher waits for a subscriber that blocks
 *	it and names no time itself; default 10 ms; PULSE_FOREVER: until there
 *	is room
 * @cleanup_interval_ns: how often pulse_bus_cleanup() is called; from 1 ms;
 *	default 30 s; PULSE_OFF: never
 * @pool: where handlers are called and asynchronous events published. It must
 *	outlive the bus and is not to be stopped before it. NULL: the bus makes
 *	one when it is first needed.
 * @num_workers: of that pool; default: the pool's own
 * @policy: enum pulse_bus_policy, where a subscription does not say so itself
 * @async_size: events that wait to be published asynchronously; default 1024
 */
struct pulse_bus_opts {
	size_t sz;
	uint32_t buffer_size;
	uint32_t max_subscribers;
	int64_t publish_timeout_ns;
	int64_t cleanup_interval_ns;
	struct pulse_pool *pool;
	uint32_t num_workers;
	int32_t policy;
	uint32_t async_size;
	uint32_t reserved;
};

/**
 * pulse_bus_create() - make a bus
 * @opts: or NULL for the defaults
 * @out: the bus
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM; -EAGAIN no thread.
 */
PULSE_API int pulse_bus_create(const struct pulse_bus_opts *opts,
			       struct pulse_bus **out);

/**
 * pulse_bus_close() - publish no more
 * @bus: the bus
 *
 * From then on who publishes is told -ESHUTDOWN. What was accepted before is
 * still received and handled; a receiver whose queue is empty gets -ESHUTDOWN.
 * Publishers wait no longer for a receiver to make room. May be called while others
 * publish and subscribe, by several threads, and again.
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_close(struct pulse_bus *bus);

/**
 * pulse_bus_destroy() - close a bus and give it back
 * @bus: the bus; nobody publishes or subscribes any more
 *
 * Waits until handlers have had all that was queued; some of it they may get
 * in the calling thread. Subscriptions stay until they are given back with
 * pulse_bus_unsubscribe(), before or after this.
 *
 * Return: 0; -EDEADLK inside a handler of the bus (nothing was done); -EINVAL;
 * -EOWNERDEAD in a forked child (what its threads had in hand stays).
 */
PULSE_API int pulse_bus_destroy(struct pulse_bus *bus);

/* ---- publishing ------------------------------------------------------------ */

/**
 * pulse_bus_publish() - give an event to all who subscribed to it
 * @bus: the bus
 * @event: stays the caller's
 *
 * Returns when it is in their queues; only a full queue whose policy is
 * PULSE_BUS_BLOCK makes it wait, for as long as its subscriber or the bus says.
 * Inside a handler it calls, while it waits, the handler it waits for, where no
 * other thread is in it; its own queue it does not wait for.
 * Takes no memory, but for a type that the bus did not know, or a queue that
 * grows. With nobody there it costs a few loads.
 *
 * Return: how many got it, 0 or more; -ESHUTDOWN; -ENOMEM nobody got it;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_publish(struct pulse_bus *bus,
				struct pulse_bus_event *event);

/**
 * pulse_bus_publish_until() - likewise, with a time of one's own
 * @bus: the bus
 * @event: stays the caller's
 * @deadline_ns: absolute CLOCK_MONOTONIC, for all subscribers together; 0 or
 *	past: do not wait; PULSE_FOREVER
 *
 * Return: as pulse_bus_publish().
 */
PULSE_API int pulse_bus_publish_until(struct pulse_bus *bus,
				      struct pulse_bus_event *event,
				      int64_t deadline_ns);

/**
 * pulse_bus_publish_async() - have an event published, and do not wait
 * @bus: the bus
 * @event: stays the caller's
 *
 * Return: 0; -EAGAIN async_size events wait already; -ESHUTDOWN; -ENOMEM;
 * -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_publish_async(struct pulse_bus *bus,
				      struct pulse_bus_event *event);

/**
 * pulse_bus_publish_new() - make an event and publish it
 * @bus: the bus
 * @opts: what it says
 *
 * Return: as pulse_bus_event_create() and pulse_bus_publish().
 */
PULSE_API int pulse_bus_publish_new(struct pulse_bus *bus,
				    const struct pulse_bus_event_opts *opts);

/* ---- subscribing ------------------------------------------------------------ */

/**
 * typedef pulse_bus_handler_fn - an event has come
 * @event: lent for the call; pulse_bus_event_get() keeps it
 * @arg: of struct pulse_bus_sub_opts
 *
 * May publish, subscribe and unsubscribe, its own subscription too.
 */
typedef void (*pulse_bus_handler_fn)(struct pulse_bus_event *event, void *arg);

/**
 * typedef pulse_bus_filter_fn - is this event wanted?
 * @event: lent for the call
 * @arg: as given with it
 *
 * Called in the thread that publishes, one call at a time for a subscription.
 * Must not call functions of the bus, nor block.
 *
 * Return: 0 no; else yes.
 */
typedef int (*pulse_bus_filter_fn)(const struct pulse_bus_event *event,
				   void *arg);

/**
 * struct pulse_bus_sub_opts - options of a subscription
 * @sz: sizeof(struct pulse_bus_sub_opts)
 * @handler: called for each event; NULL: events are received
 * @arg: for @handler, @filter and @on_end
 * @filter: or NULL for all events of the type
 * @on_end: called once with @arg, after the last call of the handler and the
 *	filter; or NULL. In the thread that unsubscribes or that was in the
 *	handler.
 * @buffer_size: events its queue holds; default: the bus's
 * @policy: enum pulse_bus_policy; default: the bus's
 * @block_ns: how long a publisher waits for room, with PULSE_BUS_BLOCK;
 *	default: the bus's publish_timeout_ns; PULSE_FOREVER
 */
struct pulse_bus_sub_opts {
	size_t sz;
	pulse_bus_handler_fn handler;
	void *arg;
	pulse_bus_filter_fn filter;
	void (*on_end)(void *arg);
	uint32_t buffer_size;
	int32_t policy;
	int64_t block_ns;
};

/**
 * pulse_bus_subscribe() - get all events of a type, or of a pattern
 * @bus: the bus
 * @type: type or pattern; copied
 * @opts: or NULL for the defaults: events are received
 * @out: the subscription
 *
 * Return: 0; -ENOSPC max_subscribers are there; -ESHUTDOWN; -EINVAL also: a
 * bad pattern; -E2BIG unknown options; -ENOMEM; -EAGAIN no thread for
 * handlers; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_subscribe(struct pulse_bus *bus, const char *type,
				  const struct pulse_bus_sub_opts *opts,
				  struct pulse_bus_sub **out);

/**
 * pulse_bus_subscribe_filter() - those of them that a function wants
 * @bus: the bus
 * @type: type or pattern; copied
 * @filter: says which
 * @arg: for @filter
 * @out: the subscription; events are received
 *
 * Return: as pulse_bus_subscribe().
 */
PULSE_API int pulse_bus_subscribe_filter(struct pulse_bus *bus,
					 const char *type,
					 pulse_bus_filter_fn filter, void *arg,
					 struct pulse_bus_sub **out);

/**
 * pulse_bus_subscribe_multiple() - get events of several types or patterns
 * @bus: the bus
 * @types: copied. An event that several of them match comes once.
 * @nr: how many, 1 to 4096
 * @opts: or NULL
 * @out: the subscription
 *
 * Return: as pulse_bus_subscribe().
 */
PULSE_API int pulse_bus_subscribe_multiple(struct pulse_bus *bus,
					   const char *const *types, size_t nr,
					   const struct pulse_bus_sub_opts *opts,
					   struct pulse_bus_sub **out);

/**
 * pulse_bus_subscribe_all() - get all events
 * @bus: the bus
 * @opts: or NULL
 * @out: the subscription
 *
 * Return: as pulse_bus_subscribe().
 */
PULSE_API int pulse_bus_subscribe_all(struct pulse_bus *bus,
				      const struct pulse_bus_sub_opts *opts,
				      struct pulse_bus_sub **out);

/**
 * pulse_bus_unsubscribe() - end a subscription and give it back
 * @sub: the subscription; threads that wait in pulse_bus_receive() get
 *	-ECANCELED, and nobody may use it any more
 *
 * What is in its queue is dropped. When it returns no handler and no filter of
 * it runs or will run; but inside a handler of the same bus it does not wait
 * for another thread that is inside this one (on_end says when it has left).
 *
 * Return: 0; -EINVAL; -EOWNERDEAD in a forked child (what is queued stays).
 */
PULSE_API int pulse_bus_unsubscribe(struct pulse_bus_sub *sub);

/**
 * pulse_bus_receive() - the next event
 * @sub: a subscription without a handler
 * @deadline_ns: when to give up, absolute; 0 or past: only look; PULSE_FOREVER
 * @out: the event, a reference that is the caller's
 *
 * Return: 0; -ETIMEDOUT; -ESHUTDOWN the bus is closed and all is received;
 * -ECONNABORTED likewise, it was disconnected for being slow; -ECANCELED it
 * was unsubscribed meanwhile; -EINVAL also: it has a handler; -EOWNERDEAD in a
 * forked child.
 */
PULSE_API int pulse_bus_receive(struct pulse_bus_sub *sub, int64_t deadline_ns,
				struct pulse_bus_event **out);

/**
 * pulse_bus_receive_batch() - the next events, as many as there are
 * @sub: a subscription without a handler
 * @deadline_ns: when to give up waiting for the first
 * @out: room for @nr events, each a reference that is the caller's
 * @nr: 1 or more
 *
 * Return: how many, 1 to @nr; or as pulse_bus_receive().
 */
PULSE_API int pulse_bus_receive_batch(struct pulse_bus_sub *sub,
				      int64_t deadline_ns,
				      struct pulse_bus_event **out,
				      unsigned int nr);

/**
 * pulse_bus_wait() - until an event of a type comes
 * @bus: the bus
 * @type: type or pattern
 * @token: give up when it is cancelled; or NULL
 * @deadline_ns: when to give up, absolute, or PULSE_FOREVER
 * @out: the event, a reference that is the caller's
 *
 * A subscription for as long as it waits.
 *
 * Return: 0; -ETIMEDOUT; -ESHUTDOWN; the token's reason; or as
 * pulse_bus_subscribe().
 */
PULSE_API int pulse_bus_wait(struct pulse_bus *bus, const char *type,
			     struct pulse_token *token, int64_t deadline_ns,
			     struct pulse_bus_event **out);

/**
 * pulse_bus_wait_multiple() - until an event of one of several types comes
 * @bus: the bus
 * @types: types or patterns
 * @nr: how many, 1 to 4096
 * @token: give up when it is cancelled; or NULL
 * @deadline_ns: when to give up, absolute, or PULSE_FOREVER
 * @out: the event, a reference that is the caller's
 *
 * Return: as pulse_bus_wait().
 */
PULSE_API int pulse_bus_wait_multiple(struct pulse_bus *bus,
				      const char *const *types, size_t nr,
				      struct pulse_token *token,
				      int64_t deadline_ns,
				      struct pulse_bus_event **out);

/* ---- what it has done -------------------------------------------------------- */

/**
 * struct pulse_bus_metrics - what a bus has done
 * @sz: sizeof(struct pulse_bus_metrics), set by the caller
 * @published: events
 * @unheard: those of them that nobody had subscribed to
 * @delivered: times that an event came into a subscriber's queue
 * @consumed: times that one was received, or given to a handler
 * @dropped: times that one was not put in, or taken out again to make room, or
 *	left behind in the queue of who unsubscribed
 * @filtered: times that a filter did not want one
 * @timeouts: those of @dropped that a publisher had waited for
 * @disconnected: subscriptions that ended for being slow
 * @queued: events in queues now
 * @async_queued: events that wait to be published asynchronously
 * @lost: those that could not be, for want of memory
 * @subscribers: now
 * @reserved: 0
 *
 * With no thread inside the bus: delivered = consumed + queued + those of
 * dropped that had been put in.
 */
struct pulse_bus_metrics {
	size_t sz;
	uint64_t published;
	uint64_t unheard;
	uint64_t delivered;
	uint64_t consumed;
	uint64_t dropped;
	uint64_t filtered;
	uint64_t timeouts;
	uint64_t disconnected;
	uint64_t queued;
	uint64_t async_queued;
	uint64_t lost;
	uint32_t subscribers;
	uint32_t reserved;
};

/**
 * pulse_bus_metrics() - read what a bus has done
 * @bus: the bus
 * @out: its sz is set
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_metrics(struct pulse_bus *bus,
				struct pulse_bus_metrics *out);

/**
 * struct pulse_bus_sub_stats - what a subscription has seen
 * @sz: sizeof(struct pulse_bus_sub_stats), set by the caller
 * @delivered: as in struct pulse_bus_metrics, as the next four
 * @consumed: and so on
 * @dropped: and so on
 * @filtered: and so on
 * @timeouts: and so on
 * @queued: events in its queue now
 * @most_queued: ... and at most so far
 */
struct pulse_bus_sub_stats {
	size_t sz;
	uint64_t delivered;
	uint64_t consumed;
	uint64_t dropped;
	uint64_t filtered;
	uint64_t timeouts;
	uint32_t queued;
	uint32_t most_queued;
};

/**
 * pulse_bus_sub_stats() - read what a subscription has seen
 * @sub: the subscription
 * @out: its sz is set
 *
 * Return: 0; -EINVAL; -E2BIG; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_bus_sub_stats(struct pulse_bus_sub *sub,
				  struct pulse_bus_sub_stats *out);

/**
 * pulse_bus_cleanup() - forget what is not in use
 * @bus: the bus
 *
 * Types that were not published since the last time, and the queues of
 * subscriptions that were disconnected and are read empty.
 *
 * Return: how many things were given back; -EINVAL; -EOWNERDEAD in a forked
 * child.
 */
PULSE_API int pulse_bus_cleanup(struct pulse_bus *bus);

/* ---- the bus of the process --------------------------------------------------- */

/**
 * pulse_bus_global_init() - make the bus of the process
 * @opts: or NULL for the defaults
 *
 * Return: 0; -EALREADY there is one; or as pulse_bus_create().
 */
PULSE_API int pulse_bus_global_init(const struct pulse_bus_opts *opts);

/**
 * pulse_bus_global_set() - let a bus be that of the process
 * @bus: the bus; NULL: none from now on
 * @old: the one before, the caller's to destroy, or NULL. No emit is inside it
 *	any more.
 *
 * Must not be called inside a filter.
 *
 * Return: 0; -EINVAL no @old.
 */
PULSE_API int pulse_bus_global_set(struct pulse_bus *bus,
				   struct pulse_bus **old);

/**
 * pulse_bus_emit() - publish on the bus of the process
 * @event: stays the caller's
 *
 * Return: 0 also: there is no such bus, so nobody to hear it; or as
 * pulse_bus_publish().
 */
PULSE_API int pulse_bus_emit(struct pulse_bus_event *event);

/**
 * pulse_bus_emit_async() - publish on the bus of the process, and do not wait
 * @event: stays the caller's
 *
 * Return: 0 also: there is no such bus; or as pulse_bus_publish_async().
 */
PULSE_API int pulse_bus_emit_async(struct pulse_bus_event *event);

/**
 * pulse_bus_on() - subscribe to the bus of the process
 * @type: type or pattern
 * @opts: or NULL
 * @out: the subscription
 *
 * Makes that bus, with the defaults, where there is none.
 *
 * Return: as pulse_bus_subscribe() and pulse_bus_create().
 */
PULSE_API int pulse_bus_on(const char *type,
			   const struct pulse_bus_sub_opts *opts,
			   struct pulse_bus_sub **out);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_BUS_H */
