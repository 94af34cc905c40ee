/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of xvmm: from arguments to a struct xvmm_config. */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include <jansson.h>

#include "vmm/jail.h"
#include "vmm/spec.h"
#include "vmm/xvmm.h"

struct error;
struct net_spec;

enum options_action {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_CHECK, /* xvmm check: no kernel is needed */
	OPTIONS_PRINT, /* --print-config */
};

struct options {
	enum options_action action;
	struct xvmm_config config; /* points into the arguments and into what follows */
	const char *console_file;  /* --console file:PATH, else NULL */
	const char *timeline_file; /* --timeline, else NULL */
	bool console_stdio;	   /* --console stdio, the default */
	bool json;		   /* --json, of xvmm check */
	const char *config_file;   /* --config, or NULL */
	json_t *from_file;	   /* owned; what it has; the config points into it */
	json_t *given;		   /* owned; OPTIONS_PRINT: all that counts, as in config_file.h */
	struct spec sandbox;	   /* owned; what the jail's string points into */
	struct jail jail;	   /* of --sandbox on,... */

	struct xvmm_net *nets;	     /* owned; config.nets */
	struct net_spec **net_specs; /* owned; what the nets' strings point into */
	size_t n_nets;
};

/*
 * Parse @argv (which must outlive *@options). Usage errors name the option and what it takes. On
 * failure there is nothing to free.
 */
int options_parse(struct options *options, int argc, char *const *argv, struct error *err);
void options_free(struct options *options);

/* The text of --help. */
extern const char options_help[];

#endif
