/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tracer.h - spans: what took how long, and what it was part of.
 *
 * A span has a name, a beginning and an end, attributes and events. It belongs
 * to a trace and has a parent in it, here or in another program: the two are
 * carried along as traceparent and tracestate, as W3C Trace Context (level 1)
 * has them. Spans of a trace that is not sampled cost an allocation and are
 * carried along, but record nothing. Finished spans go to an exporter, or wait
 * in a ring until somebody takes them.
 *
 * A span is used by one thread at a time; all else may be called by any.
 */
#ifndef PULSE_U_TRACER_H
#define PULSE_U_TRACER_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_context;
struct pulse_span;
struct pulse_tracer;
struct pulse_ws_conn;
struct pulse_ws_server;

#define PULSE_TRACEPARENT_MAX	56	/* room for a traceparent and a 0 */
#define PULSE_TRACESTATE_MAX	513	/* room for a tracestate and a 0 */
#define PULSE_SPAN_ATTRS_MAX	32	/* more are counted and dropped */
#define PULSE_SPAN_EVENTS_MAX	32

/**
 * struct pulse_trace_context - where in which trace
 * @trace_id: not all 0
 * @span_id: not all 0
 * @sampled: is it recorded?
 * @tracestate: what vendors add, as text; "" for none
 */
struct pulse_trace_context {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	bool sampled;
	char tracestate[PULSE_TRACESTATE_MAX];
};

/**
 * pulse_trace_extract() - read traceparent and tracestate
 * @traceparent: the header's value
 * @tracestate: that header's value, several of them joined with commas; or NULL
 * @out: what they say
 *
 * Version 00 is taken strictly; of a later one the fields that 00 has, as the
 * standard asks. A tracestate that is against the rules is left out, the rest
 * holds.
 *
 * Return: 0; -EINVAL; -EBADMSG the traceparent is against the rules: a new trace
 * is to begin.
 */
PULSE_API int pulse_trace_extract(const char *traceparent,
				  const char *tracestate,
				  struct pulse_trace_context *out);

/**
 * pulse_trace_inject() - write a traceparent, version 00
 * @tc: where; its tracestate is to be sent along as it is
 * @traceparent: out: PULSE_TRACEPARENT_MAX bytes
 *
 * Return: 0; -EINVAL, also for ids that are all 0.
 */
PULSE_API int pulse_trace_inject(const struct pulse_trace_context *tc,
				 char *traceparent);

/**
 * pulse_tracestate_set() - put a vendor's entry in front
 * @tc: whose tracestate
 * @key: of a tracestate entry; one of this key goes
 * @value: of it
 *
 * Where it becomes too long, entries of more than 128 bytes are dropped first,
 * then those at the end.
 *
 * Return: 0; -EINVAL; -EBADMSG a key or value that the standard does not allow.
 */
PULSE_API int pulse_tracestate_set(struct pulse_trace_context *tc,
				   const char *key, const char *value);

/* ---- finished spans ---------------------------------------------------------- */

/* What an attribute's value is. */
enum pulse_attr_type {
	PULSE_ATTR_I64 = 1,
	PULSE_ATTR_F64 = 2,
	PULSE_ATTR_BOOL = 3,
	PULSE_ATTR_STR = 4,
};

/**
 * struct pulse_attr - a name and a value
 * @key: its name
 * @type: enum pulse_attr_type
 * @i64: an I64; of a BOOL 0 or 1
 * @f64: an F64
 * @str: a STR
 */
struct pulse_attr {
	const char *key;
	int type;
	int64_t i64;
	double f64;
	const char *str;
};

/**
 * struct pulse_span_event - something that happened in a span
 * @name: what
 * @time_ns: when, since 1970
 */
struct pulse_span_event {
	const char *name;
	int64_t time_ns;
};

/* What a span is in a conversation of programs. */
enum pulse_span_kind {
	PULSE_SPAN_INTERNAL = 0,
	PULSE_SPAN_SERVER = 1,
	PULSE_SPAN_CLIENT = 2,
	PULSE_SPAN_PRODUCER = 3,
	PULSE_SPAN_CONSUMER = 4,
};

/**
 * struct pulse_span_data - a finished span
 * @sz: its size
 * @name: what it was
 * @context: its ids; its tracestate
 * @parent_id: the span above, all 0: none
 * @attrs: its attributes
 * @events: its events
 * @nr_attrs: how many
 * @nr_events: how many
 * @dropped: attributes and events that there was no room for
 * @kind: enum pulse_span_kind
 * @err: 0: it went well; a negative errno
 * @start_ns: its beginning, since 1970
 * @duration_ns: by CLOCK_MONOTONIC
 * @remote_parent: that span is another program's
 */
struct pulse_span_data {
	size_t sz;
	const char *name;
	struct pulse_trace_context context;
	uint8_t parent_id[8];
	const struct pulse_attr *attrs;
	const struct pulse_span_event *events;
	uint32_t nr_attrs;
	uint32_t nr_events;
	uint32_t dropped;
	int kind;
	int err;
	int64_t start_ns;
	int64_t duration_ns;
	bool remote_parent;
};

/**
 * typedef pulse_span_fn - is given a finished span
 * @span: valid during the call
 * @arg: as given with the function
 */
typedef void (*pulse_span_fn)(const struct pulse_span_data *span, void *arg);

/**
 * struct pulse_tracer_opts - options of pulse_tracer_create()
 * @sz: sizeof(struct pulse_tracer_opts)
 * @sample_ratio: share of new traces that are sampled, 0 to 1; the same for the
 *	same id everywhere. Default 1. A trace that comes from elsewhere is
 *	sampled as its traceparent says
 * @never: new traces are not sampled at all, whatever the ratio
 * @ring_spans: finished spans that wait to be taken, the oldest goes for a new
 *	one; rounded up to a power of two; at most 65536; default 1024
 * @export_fn: gets each finished span instead of the ring, called by the thread
 *	that ended it; it must be quick, and not use the span's tracer
 * @arg: for @export_fn
 */
struct pulse_tracer_opts {
	size_t sz;
	double sample_ratio;
	bool never;
	uint32_t ring_spans;
	pulse_span_fn export_fn;
	void *arg;
};

/**
 * pulse_tracer_create() - make a tracer
 * @opts: or NULL for the defaults
 * @out: the tracer
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_tracer_create(const struct pulse_tracer_opts *opts,
				  struct pulse_tracer **out);

/**
 * pulse_tracer_destroy() - end a tracer, with the spans that wait
 * @tracer: no span of it is open
 *
 * Return: 0; -EINVAL; -EBUSY a span is open.
 */
PULSE_API int pulse_tracer_destroy(struct pulse_tracer *tracer);

/**
 * pulse_tracer_drain() - take the spans that wait
 * @tracer: the tracer
 * @fn: called for each, the oldest first
 * @arg: for @fn
 * @max: at most so many; 0: all that wait now
 *
 * Return: how many; -EINVAL.
 */
PULSE_API int pulse_tracer_drain(struct pulse_tracer *tracer, pulse_span_fn fn,
				 void *arg, unsigned int max);

/**
 * struct pulse_tracer_stats - what a tracer has done
 * @sz: sizeof(struct pulse_tracer_stats), set by the caller
 * @started: spans
 * @sampled: of them
 * @ended: spans
 * @exported: given to the exporter, or taken from the ring
 * @dropped: that the ring had no room for
 * @open: now
 * @waiting: in the ring
 */
struct pulse_tracer_stats {
	size_t sz;
	uint64_t started;
	uint64_t sampled;
	uint64_t ended;
	uint64_t exported;
	uint64_t dropped;
	uint64_t open;
	uint64_t waiting;
};

/**
 * pulse_tracer_stats() - look at a tracer's figures
 * @tracer: the tracer
 * @out: the figures; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_tracer_stats(struct pulse_tracer *tracer,
				 struct pulse_tracer_stats *out);

/* ---- spans ------------------------------------------------------------------- */

/**
 * struct pulse_span_opts - how a span begins
 * @sz: sizeof(struct pulse_span_opts)
 * @parent: the span above, of this program; or NULL
 * @remote: or the one of another program, as extracted; or NULL; both NULL: a
 *	new trace begins
 * @kind: enum pulse_span_kind
 * @reserved: 0
 */
struct pulse_span_opts {
	size_t sz;
	const struct pulse_span *parent;
	const struct pulse_trace_context *remote;
	int kind;
	uint32_t reserved;
};

/**
 * pulse_span_start() - begin a span
 * @tracer: the tracer
 * @name: copied
 * @opts: or NULL for the defaults
 * @out: the span
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM, with NULL in @out: all
 * functions take that for a span that records nothing.
 */
PULSE_API int pulse_span_start(struct pulse_tracer *tracer, const char *name,
			       const struct pulse_span_opts *opts,
			       struct pulse_span **out);

/**
 * pulse_span_end() - end a span
 * @span: gone when this returns; NULL does nothing
 */
PULSE_API void pulse_span_end(struct pulse_span *span);

/**
 * pulse_span_set() - set an attribute
 * @span: the span, or NULL
 * @attr: copied; one of the same key is replaced
 *
 * Return: 0, also where it is not recorded; -EINVAL; -ENOSPC; -ENOMEM.
 */
PULSE_API int pulse_span_set(struct pulse_span *span,
			     const struct pulse_attr *attr);

/**
 * pulse_span_set_str() - set an attribute that is a text
 * @span: the span, or NULL
 * @key: copied
 * @value: copied
 *
 * Return: as pulse_span_set().
 */
PULSE_API int pulse_span_set_str(struct pulse_span *span, const char *key,
				 const char *value);

/**
 * pulse_span_set_i64() - set an attribute that is a number
 * @span: the span, or NULL
 * @key: copied
 * @value: the number
 *
 * Return: as pulse_span_set().
 */
PULSE_API int pulse_span_set_i64(struct pulse_span *span, const char *key,
				 int64_t value);

/**
 * pulse_span_event() - note that something happens now
 * @span: the span, or NULL
 * @name: copied
 *
 * Return: as pulse_span_set().
 */
PULSE_API int pulse_span_event(struct pulse_span *span, const char *name);

/**
 * pulse_span_fail() - note that it did not go well
 * @span: the span, or NULL
 * @err: a negative errno
 */
PULSE_API void pulse_span_fail(struct pulse_span *span, int err);

/**
 * pulse_span_context() - where a span is
 * @span: the span, or NULL
 * @out: for pulse_trace_inject()
 *
 * Return: 0; -EINVAL, also for NULL.
 */
PULSE_API int pulse_span_context(const struct pulse_span *span,
				 struct pulse_trace_context *out);

/**
 * pulse_span_to_context() - let a context carry a span's place
 * @span: the span
 * @ctx: gets the propagated values "traceparent" and "tracestate"
 *
 * Return: 0; -EINVAL; as pulse_context_set_str().
 */
PULSE_API int pulse_span_to_context(const struct pulse_span *span,
				    struct pulse_context *ctx);

/**
 * pulse_trace_from_context() - the place that a context carries
 * @ctx: the context
 * @out: as pulse_trace_extract()
 *
 * Return: 0; -EINVAL; -ENOENT it carries none; -EBADMSG.
 */
PULSE_API int pulse_trace_from_context(struct pulse_context *ctx,
				       struct pulse_trace_context *out);

/* ---- WebSocket --------------------------------------------------------------- */

/**
 * pulse_tracer_watch_ws() - spans of a server's connections and messages
 * @tracer: must outlive the server
 * @server: not started yet; its hook is taken
 *
 * "ws.accept", "ws.open" and "ws.close" (with ws.code) are points of time;
 * "ws.message" (with ws.opcode and ws.bytes) lasts as long as on_message, in which
 * pulse_tracer_current() is that span. Where the request of the handshake has a
 * traceparent that is in order, all but "ws.accept", which is before it, are in
 * that trace, below the span it names, and sampled as it says; "ws.accept" and
 * all of others begin new traces.
 *
 * Return: 0; -EINVAL; -EBUSY it was started.
 */
PULSE_API int pulse_tracer_watch_ws(struct pulse_tracer *tracer,
				    struct pulse_ws_server *server);

/**
 * pulse_tracer_current() - the span of the message that this thread handles
 *
 * Return: it; NULL outside of on_message, or where nobody traces.
 */
PULSE_API struct pulse_span *pulse_tracer_current(void);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_TRACER_H */
