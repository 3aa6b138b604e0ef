// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * config.c - one configuration: its values, read and parsed.
 */
#include "control/control_int.h"
#include "control/text.h"

#include <strings.h>

/* ---- life ----------------------------------------------------------------- */

void pulse__control_put(struct pulse_control *control)
{
	/* release: what this holder did; acquire: what the others did */
	if (__atomic_fetch_sub(&control->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	for (size_t i = 0; i < control->nr_knobs; i++) {
		pulse__free(control->knob[i]->name);
		pulse__free(control->knob[i]->doc);
		pulse__free(control->knob[i]->unit);
		pulse__free(control->knob[i]);
	}
	pulse__free(control);
}

static void config_free(struct pulse__version *version)
{
	struct pulse_config *config = container_of(version, struct pulse_config,
						   version);
	struct pulse_control *control = config->control;

	for (size_t i = 0; i < config->nr; i++)
		pulse__free(config->value[i].text);
	pulse__free(config);
	pulse__control_put(control);
}

struct pulse_config *pulse__config_copy(struct pulse_control *control,
					const struct pulse_config *old,
					size_t nr)
{
	struct pulse_config *config;

	config = pulse__calloc(1, sizeof(*config) + nr * sizeof(config->value[0]));
	if (!config)
		return NULL;
	config->version.refs = 1;
	config->version.free = config_free;
	config->control = control;
	__atomic_fetch_add(&control->refs, 1, __ATOMIC_RELAXED);
	config->nr = nr;
	config->number = old ? old->number + 1 : 0;
	for (size_t i = 0; old && i < old->nr; i++) {
		config->value[i].i = old->value[i].i;
		if (old->value[i].text &&
		    pulse__config_set_text(config, i, old->value[i].text)) {
			pulse_config_put(config);
			return NULL;
		}
	}
	return config;
}

void pulse_config_put(struct pulse_config *config)
{
	if (config)
		pulse__version_put(&config->version);
}

int pulse__config_set_text(struct pulse_config *config, size_t i,
			   const char *text)
{
	char *copy = pulse__strdup(text);

	if (!copy)
		return -ENOMEM;
	pulse__free(config->value[i].text);
	config->value[i].text = copy;
	return 0;
}

bool pulse__config_same(const struct pulse_config *a,
			const struct pulse_config *b)
{
	for (size_t i = 0; i < a->nr; i++) {
		if (a->value[i].i != b->value[i].i)
			return false;
		if (a->value[i].text &&
		    strcmp(a->value[i].text, b->value[i].text))
			return false;
	}
	return true;
}

/* ---- reading --------------------------------------------------------------- */

int pulse__config_find(const struct pulse_config *config, const char *name)
{
	for (size_t i = 0; i < config->nr; i++)
		if (!strcmp(config->control->knob[i]->name, name))
			return (int)i;
	return -ENOENT;
}

uint64_t pulse_config_version(const struct pulse_config *config)
{
	return config ? config->number : 0;
}

int pulse_config_int(const struct pulse_config *config, const char *name,
		     int64_t *out)
{
	int i;

	if (!config || !name || !out)
		return -EINVAL;
	i = pulse__config_find(config, name);
	if (i < 0)
		return i;
	if (config->value[i].text)
		return -EPROTOTYPE;
	*out = config->value[i].i;
	return 0;
}

const char *pulse_config_text(const struct pulse_config *config,
			      const char *name)
{
	int i = config && name ? pulse__config_find(config, name) : -ENOENT;

	return i < 0 ? NULL : config->value[i].text;
}

/* ---- values as text -------------------------------------------------------- */

static int parse_bool(const char *text, int64_t *out)
{
	static const char *const words[] = { "off", "on", "false", "true", "no",
					     "yes", "0", "1" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i])) {
			*out = i & 1;
			return 0;
		}
	return -EINVAL;
}

static int parse_int(const struct pulse__knob *knob, const char *text,
		     int64_t *out)
{
	int64_t by = 1;
	char *end;

	if (!*text || strspn(text, " \t\r\n"))
		return -EINVAL;
	errno = 0;
	*out = strtoll(text, &end, strncasecmp(text, "0x", 2) ? 10 : 16);
	if (end == text)
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	if (*end && knob->unit && !strcmp(knob->unit, "bytes")) {
		static const char letters[] = "KMG";
		const char *c = strchr(letters, *end);

		if (c) {
			by = 1024LL << 10 * (c - letters);
			end++;
		}
	}
	if (*end)
		return -EINVAL;
	return __builtin_mul_overflow(*out, by, out) ? -ERANGE : 0;
}

static int refuse_int(const struct pulse__knob *knob, const char *text, int err,
		      char *why, size_t len)
{
	const char *unit = knob->unit ? knob->unit : "";
	const char *blank = knob->unit ? " " : "";

	if (err == -ERANGE)
		pulse__why(why, len,
			   "%s: %.40s is out of range; it may be %lld to %lld%s%s",
			   knob->name, text, (long long)knob->min,
			   (long long)knob->max, blank, unit);
	else
		pulse__why(why, len,
			   "%s: \"%.40s\" is no number; give one from %lld to %lld%s%s",
			   knob->name, text, (long long)knob->min,
			   (long long)knob->max, blank, unit);
	return err;
}

int pulse__knob_parse(const struct pulse__knob *knob, const char *text,
		      struct pulse_config *config, size_t i, char *why,
		      size_t len)
{
	struct pulse__value *v = &config->value[i];
	int err = 0;

	switch (knob->type) {
	case PULSE_KNOB_INT:
		err = parse_int(knob, text, &v->i);
		if (!err && (v->i < knob->min || v->i > knob->max))
			err = -ERANGE;
		if (err)
			return refuse_int(knob, text, err, why, len);
		break;
	case PULSE_KNOB_BOOL:
		err = parse_bool(text, &v->i);
		if (err) {
			pulse__why(why, len,
				   "%s: \"%.40s\" is neither on nor off",
				   knob->name, text);
			return err;
		}
		break;
	default:
		if (strnlen(text, PULSE_KNOB_TEXT_MAX) == PULSE_KNOB_TEXT_MAX) {
			pulse__why(why, len, "%s: \"%.40s...\" has more than %d bytes",
				   knob->name, text, PULSE_KNOB_TEXT_MAX - 1);
			return -EMSGSIZE;
		}
		err = pulse__config_set_text(config, i, text);
		if (err)
			return err;
		break;
	}
	if (!knob->check)
		return 0;
	err = knob->check(knob->name, v->i, v->text, why, len, knob->arg);
	if (err < 0 && why && len && !*why)
		pulse__why(why, len, "%s: \"%.40s\" was refused: %s", knob->name,
			   text, pulse_strerror(err));
	return err < 0 ? err : 0;
}
