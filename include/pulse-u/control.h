/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * control.h - limits and knobs that are changed while a program serves.
 *
 * Knobs are defined with a type, a range and a default. All their values
 * together are a configuration, which never changes: a reload makes the next
 * one and puts it in its place in one step. Whoever reads takes no lock and
 * waits for nobody, and sees either all of a reload or nothing of it.
 *
 * A reload is checked as a whole, then shown to the OnReload callbacks in the
 * order in which they were added. If one of them refuses, those before it are
 * called again with both configurations exchanged, the last one first, and
 * everything stays as it was. An error comes with a sentence that names the
 * knob, the value and what it may be.
 */
#ifndef PULSE_U_CONTROL_H
#define PULSE_U_CONTROL_H

#include <stdbool.h>

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_config;
struct pulse_control;
struct pulse_pool;
struct pulse_ws_server;

#define PULSE_KNOB_NAME_MAX	64	/* bytes of a knob's name */
#define PULSE_KNOB_TEXT_MAX	4096	/* bytes of a text, its 0 included */
#define PULSE_KNOBS_MAX		1024	/* knobs of one control */
#define PULSE_WHY_MAX		256	/* room that is enough for a sentence */

/* What a knob's values are. */
enum pulse_knob_type {
	PULSE_KNOB_INT = 1,
	PULSE_KNOB_BOOL = 2,
	PULSE_KNOB_TEXT = 3,
};

/**
 * struct pulse_knob - what may be set
 * @sz: sizeof(struct pulse_knob)
 * @name: letters, digits, "_", "-" and "."; unique; copied
 * @doc: one sentence for people; copied; or NULL
 * @unit: "bytes", "ms" and the like; copied; or NULL. Numbers of bytes are
 *	taken with a K, M or G behind them
 * @type: enum pulse_knob_type
 * @flags: 0
 * @min: least value of an INT
 * @max: its greatest; both 0: any
 * @value: default of an INT or BOOL
 * @text: default of a TEXT; copied; NULL is ""
 * @check: more that a value must be: 0 lets it pass, a negative errno refuses
 *	it and may say why in @why (@len bytes); or NULL
 * @arg: for @check
 */
struct pulse_knob {
	size_t sz;
	const char *name;
	const char *doc;
	const char *unit;
	int type;
	uint32_t flags;
	int64_t min;
	int64_t max;
	int64_t value;
	const char *text;
	int (*check)(const char *name, int64_t value, const char *text,
		     char *why, size_t len, void *arg);
	void *arg;
};

/**
 * struct pulse_control_opts - options of pulse_control_create()
 * @sz: sizeof(struct pulse_control_opts)
 * @max_waiting: calls that change or command at the same time; one more is
 *	refused with -EAGAIN, so that a flood of them costs nothing but itself;
 *	1 to 4096; default 16
 * @reserved: 0
 */
struct pulse_control_opts {
	size_t sz;
	uint32_t max_waiting;
	uint32_t reserved;
};

/**
 * pulse_control_create() - make a control without knobs
 * @opts: or NULL for the defaults
 * @out: the control
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_control_create(const struct pulse_control_opts *opts,
				   struct pulse_control **out);

/**
 * pulse_control_destroy() - end a control
 * @control: nobody calls it any more; configurations may outlive it
 *
 * Return: 0; -EINVAL; -EDEADLK from one of its callbacks.
 */
PULSE_API int pulse_control_destroy(struct pulse_control *control);

/**
 * pulse_control_define() - add a knob, with its default
 * @control: the control
 * @knob: copied
 *
 * Return: its number, 0 or more; -EINVAL; -E2BIG unknown options; -EEXIST one
 * has this name; -ENOSPC PULSE_KNOBS_MAX; -EDEADLK from a callback; -ENOMEM.
 */
PULSE_API int pulse_control_define(struct pulse_control *control,
				   const struct pulse_knob *knob);

/* ---- reading ---------------------------------------------------------------- */

/**
 * pulse_control_config() - the configuration of this moment
 * @control: the control
 *
 * From any thread, without a lock.
 *
 * Return: with a reference for the caller: pulse_config_put() it; NULL for NULL.
 */
PULSE_API struct pulse_config *
pulse_control_config(struct pulse_control *control);

/**
 * pulse_config_put() - give a configuration back
 * @config: the configuration, or NULL
 */
PULSE_API void pulse_config_put(struct pulse_config *config);

/**
 * pulse_config_version() - how many changes led to it
 * @config: the configuration
 *
 * Return: greater for later ones; 0 for NULL.
 */
PULSE_API uint64_t pulse_config_version(const struct pulse_config *config);

/**
 * pulse_config_int() - an INT or a BOOL
 * @config: the configuration
 * @name: the knob's
 * @out: its value; of a BOOL 0 or 1
 *
 * Return: 0; -ENOENT there is no such knob; -EPROTOTYPE it is a TEXT; -EINVAL.
 */
PULSE_API int pulse_config_int(const struct pulse_config *config,
			       const char *name, int64_t *out);

/**
 * pulse_config_text() - a TEXT
 * @config: the configuration
 * @name: the knob's
 *
 * Return: as long as @config; NULL where there is no such knob of type TEXT.
 */
PULSE_API const char *pulse_config_text(const struct pulse_config *config,
					const char *name);

/**
 * pulse_control_int() - an INT or a BOOL of this moment, by its number
 * @control: the control; NULL has no knobs
 * @knob: as pulse_control_define() returned it
 * @otherwise: what is returned where there is none, or it is a TEXT
 *
 * From any thread, without a lock: two atomic additions to a line that is
 * shared by few, and one to a count that is shared by all.
 *
 * Return: its value.
 */
PULSE_API int64_t pulse_control_int(struct pulse_control *control, int knob,
				    int64_t otherwise);

/* ---- changing --------------------------------------------------------------- */

/**
 * struct pulse_setting - a knob's new value
 * @name: the knob's
 * @value: as text: a number, on or off (also true, false, yes, no, 1, 0), a text
 */
struct pulse_setting {
	const char *name;
	const char *value;
};

/**
 * pulse_control_reload() - change some values, all of them or none
 * @control: the control
 * @settings: of two for the same knob the later one counts
 * @nr: how many
 * @why: out: why it was refused, "" if it was not; or NULL
 * @len: room in @why; PULSE_WHY_MAX is enough
 *
 * Where nothing changes no callback is called.
 *
 * Return: 0; -ENOENT there is no such knob; -EINVAL a value that cannot be;
 * -ERANGE one out of its range; -EMSGSIZE a text too long; what a check or a
 * callback refused it with; -EAGAIN too many callers; -EDEADLK from a callback;
 * -ENOMEM.
 */
PULSE_API int pulse_control_reload(struct pulse_control *control,
				   const struct pulse_setting *settings,
				   size_t nr, char *why, size_t len);

/**
 * pulse_control_load() - pulse_control_reload() with what a file says
 * @control: the control
 * @path: lines "name = value"; what follows a # at the beginning of a word is
 *	for people; up to 1 MiB. Knobs that are not named keep their values
 * @why: out: as for pulse_control_reload(), with the line's number; or NULL
 * @len: room in @why
 *
 * Return: as pulse_control_reload(); -EBADMSG a line is of another kind; -EFBIG;
 * what opening and reading answered.
 */
PULSE_API int pulse_control_load(struct pulse_control *control,
				 const char *path, char *why, size_t len);

/**
 * pulse_control_command() - do what a line of text says
 * @control: the control
 * @line: "get NAME", "set NAME VALUE", "list", "version" or "help"
 * @reply: out: the answer, or why there is none; cut to @len
 * @len: room in @reply
 *
 * Return: 0; as pulse_control_reload(); -EBADMSG another command.
 */
PULSE_API int pulse_control_command(struct pulse_control *control,
				    const char *line, char *reply, size_t len);

/**
 * typedef pulse_reload_fn - is told of a reload before it holds
 * @now: the configuration that holds
 * @next: the one that is to
 * @why: out: a sentence for who asked, if this refuses
 * @len: room in @why
 * @arg: as given to pulse_control_on_reload()
 *
 * Called by the thread that reloads, one reload at a time. When a later callback
 * refused, it is called again with @now and @next exchanged, to undo what it
 * did; what it returns then does not matter. It may read, and must not change,
 * the control.
 *
 * Return: 0: go on; a negative errno: the reload is refused.
 */
typedef int (*pulse_reload_fn)(const struct pulse_config *now,
			       const struct pulse_config *next, char *why,
			       size_t len, void *arg);

/**
 * pulse_control_on_reload() - be told of reloads
 * @control: the control
 * @fn: called after those that were added before
 * @arg: for @fn
 *
 * Return: a number for pulse_control_off_reload(), 1 or more; -EINVAL; -ENOMEM;
 * -EDEADLK from a callback.
 */
PULSE_API int pulse_control_on_reload(struct pulse_control *control,
				      pulse_reload_fn fn, void *arg);

/**
 * pulse_control_off_reload() - not any more
 * @control: the control
 * @id: of pulse_control_on_reload()
 *
 * When it returns the callback does not run, and will not.
 *
 * Return: 0; -EINVAL; -ENOENT; -EDEADLK from a callback.
 */
PULSE_API int pulse_control_off_reload(struct pulse_control *control, int id);

/**
 * struct pulse_control_stats - what a control has done
 * @sz: sizeof(struct pulse_control_stats), set by the caller
 * @version: of the configuration that holds
 * @reloads: that changed something
 * @refused: by a check or a callback
 * @undone: callbacks that were called a second time
 * @busy: calls refused with -EAGAIN
 * @knobs: that are defined
 */
struct pulse_control_stats {
	size_t sz;
	uint64_t version;
	uint64_t reloads;
	uint64_t refused;
	uint64_t undone;
	uint64_t busy;
	uint64_t knobs;
};

/**
 * pulse_control_stats() - look at a control's figures
 * @control: the control
 * @out: the figures; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_control_stats(struct pulse_control *control,
				  struct pulse_control_stats *out);

/* ---- knobs of what serves --------------------------------------------------- */

/**
 * pulse_control_bind_ws() - knobs for a WebSocket server's limits
 * @control: the control
 * @server: must outlive the binding
 * @prefix: of the knobs' names: PREFIX.max_message_bytes, .max_head_bytes,
 *	.send_high_bytes, .send_low_bytes, .handshake_timeout_ms,
 *	.ping_interval_ms, .idle_timeout_ms, .write_timeout_ms,
 *	.close_timeout_ms, .max_lifetime_ms, .lifetime_jitter_ms, with the
 *	server's values as their defaults
 *
 * A reload sets them with pulse_ws_server_set_limits(), which drops no
 * connection. The binding ends with pulse_control_off_reload().
 *
 * Return: a number for that; -EINVAL; -EEXIST; -ENOSPC; -ENOMEM; -EDEADLK.
 */
PULSE_API int pulse_control_bind_ws(struct pulse_control *control,
				    struct pulse_ws_server *server,
				    const char *prefix);

/**
 * pulse_control_bind_pool() - knobs for a pool's live controls
 * @control: the control
 * @pool: must outlive the binding
 * @prefix: of the knobs' names: PREFIX.heartbeat_us, .promotion_threshold,
 *	.min_work_cycles
 *
 * Return: as pulse_control_bind_ws().
 */
PULSE_API int pulse_control_bind_pool(struct pulse_control *control,
				      struct pulse_pool *pool,
				      const char *prefix);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_CONTROL_H */
