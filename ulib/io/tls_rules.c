// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * tls_rules.c - certificates and rules of TLS, and how they are replaced while
 * they are used: a session keeps the version that it began with.
 */
#include "io/plugin.h"
#include "io/tls.h"

/* ---- copies of options ---------------------------------------------------- */

/* @from, or the same in memory of ours; false: no memory. */
static bool copy(const char **text)
{
	if (*text)
		*text = pulse__strdup(*text);
	else
		return true;
	return *text;
}

static void drop(const char *text)
{
	pulse__free((char *)text);
}

static void free_alpn(const char *const *alpn)
{
	for (size_t i = 0; alpn && alpn[i]; i++)
		drop(alpn[i]);
	pulse__free((void *)alpn);
}

static int copy_alpn(struct pulse_tls_opts *o)
{
	const char *const *from = o->alpn;
	const char **to;
	size_t nr = 0;

	o->alpn = NULL;
	while (from && from[nr])
		nr++;
	if (!nr)
		return 0;
	to = pulse__calloc(nr + 1, sizeof(*to));
	if (!to)
		return -ENOMEM;
	o->alpn = to;
	for (size_t i = 0; i < nr; i++) {
		to[i] = pulse__strdup(from[i]);
		if (!to[i])
			return -ENOMEM;
	}
	return 0;
}

/* Labels of letters, digits, "-" and "_"; the first may be "*". */
static bool name_ok(const char *name)
{
	static const char signs[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t len = name ? strlen(name) : 0;

	if (!len || len > 253)
		return false;
	if (!strncmp(name, "*.", 2))
		name += 2;
	for (;;) {
		size_t label = strspn(name, signs);

		if (!label || label > 63)
			return false;
		name += label;
		if (!*name)
			return true;
		if (*name++ != '.')
			return false;
	}
}

static int copy_name(struct pulse_tls_name *to, const struct pulse_tls_name *from)
{
	int err = pulse__opts_load(to, sizeof(*to),
				   pulse__size_to(typeof(*to), key_file), from);
	struct pulse_tls_name n = *to;

	memset(to, 0, sizeof(*to));
	if (err)
		return err;
	if (!name_ok(n.name) || !n.cert_file) {
		pulse_log(PULSE_LOG_WARN, "tls: name %.253s: %s",
			  n.name ? n.name : "", n.cert_file ?
			  "it is to be a host's, or *. before one" :
			  "set its cert_file");
		return -EINVAL;
	}
	to->sz = sizeof(*to);
	to->name = n.name;
	if (!copy(&to->name))
		return -ENOMEM;
	for (char *c = (char *)to->name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	to->cert_file = n.cert_file;
	if (!copy(&to->cert_file))
		return -ENOMEM;
	to->key_file = n.key_file;
	return copy(&to->key_file) ? 0 : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
	const struct pulse_tls_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* An array of ours, by name, and a list of its elements for the engine. */
static int copy_names(struct pulse__tls_rules *r)
{
	const struct pulse_tls_name *const *from = r->o.names;
	const struct pulse_tls_name **list;
	size_t nr = 0;
	int err = 0;

	r->o.names = NULL;
	while (from && from[nr])
		if (++nr > PULSE_TLS_NAMES_MAX)
			return -EINVAL;
	if (!nr)
		return 0;
	r->names = pulse__calloc(nr, sizeof(*r->names));
	list = pulse__calloc(nr + 1, sizeof(*list));
	r->o.names = list;
	if (!r->names || !list)
		return -ENOMEM;
	for (; r->nr_names < nr && !err; r->nr_names++)
		err = copy_name(&r->names[r->nr_names], from[r->nr_names]);
	if (err)
		return err;
	qsort(r->names, nr, sizeof(*r->names), by_name);
	for (size_t i = 0; i < nr; i++) {
		list[i] = &r->names[i];
		if (i && !by_name(list[i - 1], list[i])) {
			pulse_log(PULSE_LOG_WARN, "tls: two certificates of %s",
				  r->names[i].name);
			return -EEXIST;
		}
	}
	return 0;
}

/* ---- one version ---------------------------------------------------------- */

static void rules_free(struct pulse__version *version)
{
	struct pulse__tls_rules *r = container_of(version,
						  struct pulse__tls_rules,
						  version);

	if (r->ctx)
		r->engine->ctx_free(r->ctx);
	drop(r->o.cert_file);
	drop(r->o.key_file);
	drop(r->o.ca_file);
	free_alpn(r->o.alpn);
	for (size_t i = 0; i < r->nr_names; i++) {
		drop(r->names[i].name);
		drop(r->names[i].cert_file);
		drop(r->names[i].key_file);
	}
	pulse__free((void *)r->o.names);
	pulse__free(r->names);
	pulse__free(r);
}

/* Each is a copy or NULL at any time, so that rules_free() may come. */
static int copy_opts(struct pulse__tls_rules *r, const struct pulse_tls_opts *o)
{
	const char **file[] = { &r->o.cert_file, &r->o.key_file, &r->o.ca_file };
	const char *from[] = { o->cert_file, o->key_file, o->ca_file };
	int err;

	r->o = *o;
	r->o.alpn = NULL;
	r->o.names = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(file); i++)
		*file[i] = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(file); i++) {
		*file[i] = from[i];
		if (!copy(file[i]))
			return -ENOMEM;
	}
	r->o.alpn = o->alpn;
	err = copy_alpn(&r->o);
	if (err)
		return err;
	r->o.names = o->names;
	return copy_names(r);
}

static const struct pulse__tls_engine *load_engine(void)
{
	const struct pulse__tls_engine *e;

	e = pulse__plugin_symbol("transport", "tls", "pulse__tls_engine");
	if (e && e->abi != PULSE__TLS_ABI) {
		pulse__warn_once("transport-tls.so is of another version of the library");
		return NULL;
	}
	return e;
}

static int check(const struct pulse_tls_opts *o)
{
	bool names = o->names && o->names[0];

	if ((o->min_version && o->min_version != 12 && o->min_version != 13) ||
	    (o->key_file && !o->cert_file) || (names && !o->cert_file) ||
	    o->only_names < PULSE_OFF || o->only_names > PULSE_ON ||
	    (o->only_names == PULSE_ON && !names) || o->reserved)
		return -EINVAL;
	return 0;
}

static int rules_new(const struct pulse_tls_opts *o,
		     struct pulse__tls_rules **out)
{
	struct pulse__tls_rules *r;
	char why[512] = "";
	int err = check(o);

	if (err)
		return err;
	r = pulse__calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->version.refs = 1;
	r->version.free = rules_free;
	r->engine = load_engine();
	err = r->engine ? copy_opts(r, o) : -EOPNOTSUPP;
	if (!err)
		err = r->engine->ctx_new(&r->o, &r->ctx, why, sizeof(why));
	if (*why)
		pulse_log(PULSE_LOG_WARN, "tls: %s", why);
	r->handshake_ns = (int64_t)(o->handshake_timeout_ms ?
				    o->handshake_timeout_ms : 10000) *
			  PULSE__NSEC_PER_MSEC;
	if (err) {
		rules_free(&r->version);
		return err;
	}
	*out = r;
	return 0;
}

struct pulse__tls_rules *pulse__tls_rules_get(struct pulse_tls *tls)
{
	return container_of(pulse__snap_get(&tls->rules),
			    struct pulse__tls_rules, version);
}

void pulse__tls_rules_put(struct pulse__tls_rules *rules)
{
	if (rules)
		pulse__version_put(&rules->version);
}

/* ---- all of them ---------------------------------------------------------- */

struct pulse_tls *pulse__tls_get(struct pulse_tls *tls)
{
	__atomic_fetch_add(&tls->refs, 1, __ATOMIC_RELAXED);
	return tls;
}

void pulse__tls_put(struct pulse_tls *tls)
{
	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&tls->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	pulse__snap_end(&tls->rules);
	pulse__free(tls);
}

static int load_opts(struct pulse_tls_opts *o, const struct pulse_tls_opts *opts)
{
	return pulse__opts_load(o, sizeof(*o),
				pulse__size_to(typeof(*o), handshake_timeout_ms),
				opts);
}

int pulse_tls_create(const struct pulse_tls_opts *opts, struct pulse_tls **out)
{
	struct pulse__tls_rules *first;
	struct pulse_tls_opts o;
	struct pulse_tls *tls;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = load_opts(&o, opts);
	if (!err)
		err = rules_new(&o, &first);
	if (err)
		return err;
	tls = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*tls));
	err = tls ? pulse__snap_init(&tls->rules, &first->version) : -ENOMEM;
	if (err) {
		pulse__tls_rules_put(first);
		pulse__free(tls);
		return err;
	}
	tls->refs = 1;
	*out = tls;
	return 0;
}

int pulse_tls_reload(struct pulse_tls *tls, const struct pulse_tls_opts *opts)
{
	struct pulse__tls_rules *now, *next = NULL;
	struct pulse_tls_opts o;
	int err;

	if (!tls)
		return -EINVAL;
	err = load_opts(&o, opts);
	if (err)
		return err;
	pulse__snap_lock(&tls->rules);
	now = container_of(tls->rules.cur, struct pulse__tls_rules, version);
	if (!opts)
		o = now->o;
	if (now->o.cert_file && !o.cert_file)
		err = -EINVAL;
	if (!err)
		err = rules_new(&o, &next);
	if (!err)
		pulse__snap_swap(&tls->rules, &next->version);
	pulse__snap_unlock(&tls->rules);
	return err;
}

int pulse_tls_destroy(struct pulse_tls *tls)
{
	if (!tls)
		return -EINVAL;
	pulse__tls_put(tls);
	return 0;
}
