// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * command.c - settings as text: a line of a command, a file of lines.
 */
#include "control/control_int.h"
#include "control/text.h"

#include <fcntl.h>
#include <unistd.h>

#define FILE_MAX	(1 << 20)

static const char blanks[] = " \t\r";

/* Cuts the blanks off both ends, in place. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, blanks);
	len = strlen(s);
	while (len && strchr(blanks, s[len - 1]))
		s[--len] = 0;
	return s;
}

/* ---- files ---------------------------------------------------------------- */

static int read_all(const char *path, char **out)
{
	size_t len = 0, room = 4096;
	char *buf, *more;
	int fd, err = 0;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buf = pulse__malloc(room);
	if (!buf)
		err = -ENOMEM;
	while (!err) {
		n = read(fd, buf + len, room - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : 0;
			break;
		}
		len += (size_t)n;
		if (len > FILE_MAX) {
			err = -EFBIG;
		} else if (room - len < 2) {
			more = pulse__realloc(buf, room *= 2);
			if (more)
				buf = more;
			else
				err = -ENOMEM;
		}
	}
	close(fd);
	if (err) {
		pulse__free(buf);
		return err;
	}
	buf[len] = 0;
	/* What is behind a 0 would be left out without a word. */
	if (strlen(buf) != len) {
		pulse__free(buf);
		return -EBADMSG;
	}
	*out = buf;
	return 0;
}

struct lines {
	struct pulse_setting *settings;
	unsigned int *line;		/* of each */
	size_t nr, room;
};

static int add_line(struct lines *l, char *name, char *value, unsigned int line)
{
	if (l->nr == l->room) {
		size_t room = l->room ? l->room * 2 : 32;
		void *p = pulse__realloc(l->settings, room * sizeof(*l->settings));

		if (!p)
			return -ENOMEM;
		l->settings = p;
		p = pulse__realloc(l->line, room * sizeof(*l->line));
		if (!p)
			return -ENOMEM;
		l->line = p;
		l->room = room;
	}
	l->settings[l->nr] = (struct pulse_setting){ name, value };
	l->line[l->nr++] = line;
	return 0;
}

/* Cuts a line's remark off. */
static void cut_remark(char *s)
{
	for (char *c = s; *c; c++)
		if (*c == '#' && (c == s || strchr(blanks, c[-1]))) {
			*c = 0;
			return;
		}
}

static int parse_file(char *text, struct lines *l, char *why, size_t len)
{
	unsigned int line = 1;
	char *next;

	for (char *s = text; s; s = next, line++) {
		char *eq;
		int err;

		next = strchr(s, '\n');
		if (next)
			*next++ = 0;
		cut_remark(s);
		s = trim(s);
		if (!*s)
			continue;
		eq = strchr(s, '=');
		if (!eq) {
			pulse__why(why, len,
				   "line %u: \"%.60s\" is not \"name = value\"",
				   line, s);
			return -EBADMSG;
		}
		*eq = 0;
		err = add_line(l, trim(s), trim(eq + 1), line);
		if (err)
			return err;
	}
	return 0;
}

/* The line that a refusal speaks of: the first one whose name it begins with. */
static void say_line(const struct lines *l, char *why, size_t len)
{
	char said[PULSE_WHY_MAX];

	snprintf(said, sizeof(said), "%s", why);
	for (size_t i = l->nr; i--;) {
		const char *name = l->settings[i].name;
		size_t n = strlen(name);
		bool unknown = strstr(said, "there is no knob") && strstr(said, name);

		if (n && (unknown || (!strncmp(said, name, n) && said[n] == ':'))) {
			pulse__why(why, len, "line %u: %s", l->line[i], said);
			return;
		}
	}
}

int pulse_control_load(struct pulse_control *control, const char *path,
		       char *why, size_t len)
{
	char mine[PULSE_WHY_MAX], *text = NULL;
	struct lines l = { 0 };
	int err;

	if (!why || !len) {
		why = mine;
		len = sizeof(mine);
	}
	*why = 0;
	if (!control || !path)
		return -EINVAL;
	err = read_all(path, &text);
	if (!err)
		err = parse_file(text, &l, why, len);
	if (!err) {
		err = pulse_control_reload(control, l.settings, l.nr, why, len);
		if (err)
			say_line(&l, why, len);
	}
	if (err && !*why)
		pulse__why(why, len, "%.200s: %s", path, pulse_strerror(err));
	pulse__free(l.settings);
	pulse__free(l.line);
	pulse__free(text);
	return err;
}

/* ---- commands -------------------------------------------------------------- */

static void say_value(struct pulse__text *t, const struct pulse_config *config,
		      size_t i)
{
	const struct pulse__knob *knob = config->control->knob[i];
	const struct pulse__value *v = &config->value[i];

	if (knob->type == PULSE_KNOB_TEXT)
		pulse__text_puts(t, v->text);
	else if (knob->type == PULSE_KNOB_BOOL)
		pulse__text_puts(t, v->i ? "on" : "off");
	else
		pulse__text_printf(t, "%lld", (long long)v->i);
}

static int get(const struct pulse_config *config, const char *name,
	       struct pulse__text *t)
{
	int i = pulse__config_find(config, name);

	if (i < 0) {
		pulse__text_printf(t, "there is no knob \"%.64s\"", name);
		return i;
	}
	say_value(t, config, (size_t)i);
	return 0;
}

static int list(const struct pulse_config *config, struct pulse__text *t)
{
	for (size_t i = 0; i < config->nr; i++) {
		const struct pulse__knob *knob = config->control->knob[i];

		pulse__text_printf(t, "%s = ", knob->name);
		say_value(t, config, i);
		if (knob->unit || *knob->doc)
			pulse__text_printf(t, "\t# %s%s%.160s",
					   knob->unit ? knob->unit : "",
					   knob->unit && *knob->doc ? ", " : "",
					   knob->doc);
		pulse__text_puts(t, "\n");
	}
	return 0;
}

/* Cuts the first word off; what follows it. */
static char *after_word(char *s)
{
	s += strcspn(s, blanks);
	if (*s)
		*s++ = 0;
	return s + strspn(s, blanks);
}

int pulse_control_command(struct pulse_control *control, const char *line,
			  char *reply, size_t len)
{
	struct pulse_config *config;
	struct pulse__text t;
	char *copy, *word, *rest;
	int err = 0;

	if (!control || !line || !reply || !len)
		return -EINVAL;
	t = pulse__text_on(reply, len);
	if (strnlen(line, 2 * PULSE_KNOB_TEXT_MAX) == 2 * PULSE_KNOB_TEXT_MAX) {
		pulse__text_printf(&t, "a command has at most %d bytes",
				   2 * PULSE_KNOB_TEXT_MAX - 1);
		return -EMSGSIZE;
	}
	copy = pulse__strdup(line);
	if (!copy)
		return -ENOMEM;
	copy[strcspn(copy, "\n")] = 0;
	word = trim(copy);
	rest = after_word(word);
	config = pulse_control_config(control);
	if (!strcmp(word, "get") && *rest) {
		err = get(config, rest, &t);
	} else if (!strcmp(word, "set") && *rest) {
		struct pulse_setting s = { .name = rest };

		s.value = after_word(rest);
		err = pulse_control_reload(control, &s, 1, reply, len);
		if (!err)
			pulse__why(reply, len, "ok");
	} else if (!strcmp(word, "list") && !*rest) {
		err = list(config, &t);
	} else if (!strcmp(word, "version") && !*rest) {
		pulse__text_printf(&t, "%llu", (unsigned long long)config->number);
	} else {
		bool help = !strcmp(word, "help");

		if (!help)
			pulse__text_printf(&t, "\"%.40s\" is no command; ", word);
		pulse__text_puts(&t, "commands: get NAME, set NAME VALUE, list, version, help");
		err = help ? 0 : -EBADMSG;
	}
	pulse_config_put(config);
	pulse__free(copy);
	return err;
}
