/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/check.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/arch.h"
#include "boot/boot.h"
#include "virtio/datapath.h"
#include "virtio/device.h"
#include "virtio/net.h"
#include "virtio/net_features.h"
#include "vmm/control.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/kvm.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/core/memory.h"
#include "vmm/core/path.h"
#include "vmm/jail.h"
#include "vmm/net_spec.h"
#include "vmm/nic.h"
#include "vmm/options.h"
#include "vmm/pid_namespace.h"
#include "vmm/user_net.h"
#include "vmm/vm.h"

enum status {
	STATUS_OK,
	STATUS_WARNING, /* a run could begin */
	STATUS_PROBLEM, /* it could not */
};

enum {
	WORDS_SIZE = sizeof(((struct error *)NULL)->text),
};

static const char *const status_names[] = {"ok", "warning", "problem"};

struct check {
	const struct options *options;
	const char *subject; /* what is looked at now */
	unsigned int problems;
	json_t *findings; /* owned; NULL: they are printed at once */
	json_t *devices;  /* owned */
	struct guest_memory mem;
	bool has_memory;
};

/* --- findings --- */

/* Cut the cure off that an error's text has at its end ("; try: ..."); NULL: there is none. */
static const char *cut_cure(char *text)
{
	static const char separator[] = "; try: ";
	char *cure = strstr(text, separator);

	if (!cure)
		return NULL;
	*cure = '\0';
	return cure + strlen(separator);
}

/* @text may begin with the subject's name. */
static void report(struct check *check, enum status status, const char *text)
{
	const size_t prefix = strlen(check->subject);
	char words[WORDS_SIZE];
	const char *cure;

	if (strncmp(text, check->subject, prefix) == 0 && strncmp(text + prefix, ": ", 2) == 0)
		text += prefix + 2;
	snprintf(words, sizeof(words), "%s", text);
	cure = cut_cure(words);
	check->problems += status == STATUS_PROBLEM;
	if (check->findings) {
		json_array_append_new(check->findings,
				      json_pack("{s:s,s:s,s:s,s:s*}", "subject", check->subject,
						"status", status_names[status], "text", words,
						"try", cure));
		return;
	}
	printf("%-8s %-8s %s\n", status_names[status], check->subject, words);
	if (cure)
		printf("%-8s %-8s try: %s\n", "", "", cure);
}

static void report_error(struct check *check, const struct error *err)
{
	report(check, STATUS_PROBLEM, err->text);
}

/* What the parts of a device have to say of themselves. */
static void hear(void *opaque, enum log_level level, const char *text)
{
	report(opaque, level == LOG_LEVEL_INFO ? STATUS_OK : STATUS_WARNING, text);
}

/* --- the sandbox --- */

/* Give up in this process what a run would give up; an error goes to @result_fd. */
static void enter_sandbox(const struct jail *jail, int result_fd)
{
	struct error err;
	int status, ret = 0;

	if (jail->namespaces)
		ret = pid_namespace_enter(jail, &status, &err);
	if (ret < 0 || (!ret && jail_enter(jail, &err)))
		fd_write_all(result_fd, &err, sizeof(err));
}

/*
 * Whether the jail can be entered: by a child, for nothing of it can be taken back. By a process
 * with one thread. 0 or a negative errno; or 1, in that child and its own, when all that is left
 * for them is to exit.
 */
static int try_sandbox(const struct jail *jail, struct error *err)
{
	int fds[2];
	pid_t child;
	int ret = 0;

	if (!jail_is_open(jail))
		return 0;
	fflush(NULL);
	if (pipe2(fds, O_CLOEXEC))
		return error_errno(err, "a pipe");
	child = fork();
	if (child == 0) {
		enter_sandbox(jail, fds[1]);
		return 1;
	}
	if (child < 0)
		ret = error_errno(err, "a process to try it in");
	fd_close(&fds[1]);
	/* Less than a pipe takes at once; nothing, if there is no error to tell. */
	if (child > 0 && read(fds[0], err, sizeof(*err)) == (ssize_t)sizeof(*err))
		ret = err->code;
	fd_close(&fds[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return ret;
}

static void report_sandbox(struct check *check, int ret, const struct error *err)
{
	if (!jail_is_open(&check->options->jail))
		return;
	check->subject = "sandbox";
	if (ret)
		report_error(check, err);
	else
		report(check, STATUS_OK, "the guest's processes can be confined as it says");
}

/* --- the machine --- */

static void check_kvm(struct check *check)
{
	struct kvm_vm vm;
	struct error err;
	const char *why;
	int ret;

	check->subject = "kvm";
	if (kvm_vm_open(&vm, &err) || kvm_vm_create(&vm, &err)) {
		report_error(check, &err);
		return;
	}
	ret = vm_check_cpus(&check->options->config, &vm, &err);
	kvm_vm_destroy(&vm);
	if (ret)
		report_error(check, &err);
	else if (arch_can_run_linux(&why))
		report(check, STATUS_OK, "/dev/kvm can be used, and can run Linux");
	else
		report(check, STATUS_WARNING, why);
}

/* In KiB, of /proc/meminfo; 0: not known. */
static unsigned long long available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib;
}

static void check_memory(struct check *check)
{
	const unsigned long long available = available_memory();
	struct xvmm_config config = check->options->config;
	struct error err;
	char text[128];
	uint64_t size;

	check->subject = "memory";
	/* To touch it all would be to take it from others, for nothing. */
	config.memory_prealloc = false;
	if (vm_map_memory(&config, false, NULL, &check->mem, &err)) {
		report_error(check, &err);
		return;
	}
	check->has_memory = true;
	size = memory_size(&check->mem);
	if (check->options->config.memory_prealloc && !config.memory_hugepages &&
	    memory_check_prealloc(size, &err)) {
		report_error(check, &err);
		return;
	}
	if (available && !config.memory_hugepages && size >> 10 > available) {
		snprintf(text, sizeof(text),
			 "%llu MiB for the guest, and the host has %llu left; try: --memory %lluM",
			 (unsigned long long)size >> 20, available >> 10, available >> 10);
		report(check, STATUS_WARNING, text);
		return;
	}
	snprintf(text, sizeof(text), "%llu MiB, %s%s", (unsigned long long)size >> 20,
		 check->mem.fd < 0 ? "private" : "shared",
		 config.memory_hugepages ? ", in huge pages" : "");
	report(check, STATUS_OK, text);
}

/* --- the guest --- */

static void check_kernel(struct check *check)
{
	const struct boot_config config = vm_boot_config(&check->options->config, NULL);
	const struct arch_platform platform = {.cpus = 1};
	struct boot_image *image;
	struct arch_entry entry;
	struct error err;
	int ret = 0;
	char text[128];

	check->subject = "kernel";
	if (!config.kernel) {
		report(check, STATUS_WARNING,
		       "none is given: only the rest is looked at; try: --kernel FILE");
		return;
	}
	if (boot_open(&config, &image, &err)) {
		report_error(check, &err);
		return;
	}
	snprintf(text, sizeof(text), "it can be booted, and takes %llu MiB itself",
		 (unsigned long long)(boot_kernel_size(image) + (1 << 20) - 1) >> 20);
	if (check->has_memory) {
		ret = boot_load(image, &check->mem, &err);
		if (!ret)
			ret = boot_hand_over(image, &check->mem, &platform, &entry, &err);
	}
	if (ret)
		report_error(check, &err);
	else
		report(check, STATUS_OK, text);
	boot_close(image);
}

/* --- files and sockets that a run makes --- */

/* What a look at @path has found: that it is @fine, or, if @failed, *@err. */
static void report_path(struct check *check, const char *path, const char *fine, bool failed,
			struct error *err)
{
	if (!failed)
		snprintf(err->text, sizeof(err->text), "%s", fine);
	error_prefix(err, "%s: ", path);
	if (failed)
		report_error(check, err);
	else
		report(check, STATUS_OK, err->text);
}

static void check_file(struct check *check, const char *subject, const char *path)
{
	struct error err;

	if (!path)
		return;
	check->subject = subject;
	report_path(check, path, "it can be written", path_check_write(path, &err), &err);
}

static void check_control(struct check *check, const char *path)
{
	struct error err;
	bool failed;

	if (!path)
		return;
	check->subject = "control";
	failed = control_check_path(path, &err) ||
		 (access(path, F_OK) < 0 && path_check_write(path, &err));
	report_path(check, path, "a socket can be made there", failed, &err);
}

/* --- network devices --- */

/* Who takes @feature from the guest; NULL: it is offered. */
static const char *taken_by(const struct nic *nic, const struct net_feature *feature)
{
	struct virtio_device *dev = nic_device(nic);
	const char *why = virtio_net_why_not(dev, feature);
	struct nic_faults faults;

	if (!why || why != virtio_net_datapath(dev)->kind)
		return why;
	if (strcmp(feature->name, "mq") == 0)
		return "queues=1";
	if (feature->bit & net_faults_without && nic_faults(nic, &faults))
		return "faults";
	/* In-process all is served that the backend can. */
	return strcmp(why, "in-process") == 0 ? nic_backend(nic) : why;
}

static void report_features(struct check *check, const struct nic *nic)
{
	struct virtio_device *dev = nic_device(nic);
	const char *datapath = virtio_net_datapath(dev)->kind;
	json_t *offered = json_array(), *missing = json_object();

	for (const struct net_feature *feature = net_features; feature->name; feature++) {
		const char *why = taken_by(nic, feature);

		if (why)
			json_object_set_new(missing, feature->name, json_string(why));
		else
			json_array_append_new(offered, json_string(feature->name));
	}
	if (check->findings) {
		json_array_append_new(check->devices,
				      json_pack("{s:s,s:s,s:s,s:O,s:O}", "id", check->subject,
						"backend", nic_backend(nic), "datapath", datapath,
						"offered", offered, "missing", missing));
	} else {
		const char *name;
		json_t *why;
		size_t i;

		printf("%-8s %-8s %s, %s; offers", "ok", check->subject, nic_backend(nic),
		       datapath);
		json_array_foreach(offered, i, why)
		{
			printf(" %s", json_string_value(why));
		}
		printf("\n%-8s %-8s not", "", "");
		json_object_foreach(missing, name, why)
		{
			printf(" %s (%s)", name, json_string_value(why));
		}
		printf("\n");
	}
	json_decref(offered);
	json_decref(missing);
}

/* A network device, which has what it needs until all were looked at: two may want the same. */
struct candidate {
	char id[NIC_ID_SIZE];
	struct nic *nic;
	struct user_net *user;
	int fds[2];
};

/* A user-mode network that nothing is sent to. */
static int make_user_net(const struct net_spec *spec, struct xvmm_net *net,
			 struct candidate *candidate, struct error *err)
{
	struct user_net_config config = net_spec_user_net(spec);

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, candidate->fds))
		return error_errno(err, "a socket pair");
	net->fd = candidate->fds[0];
	config.fd = candidate->fds[1];
	return user_net_create(&config, &candidate->user, err);
}

static void check_net(struct check *check, unsigned int index, const struct nic_parts *parts,
		      struct candidate *candidate)
{
	const struct xvmm_config *config = &check->options->config;
	const struct net_spec *spec = check->options->net_specs[index];
	struct xvmm_net net = config->nets[index];
	struct error err;
	int ret;

	check->subject = nic_id(&net, index, candidate->id);
	ret = nic_check(config, index, &err);
	if (!ret && net.pcap) {
		ret = path_check_write(net.pcap, &err);
		if (ret)
			error_prefix(&err, "the capture %s: ", net.pcap);
	}
	/* A run would empty that file. */
	if (net.pcap && net.vhost == XVMM_VHOST_AUTO)
		net.vhost = XVMM_VHOST_OFF;
	net.pcap = NULL;
	if (!ret && !check->has_memory && nic_is_vhost_user(&net))
		ret = error_set(&err, -ENOMEM, "it was not looked at, for want of memory");
	if (!ret && spec->is_user)
		ret = make_user_net(spec, &net, candidate, &err);
	if (!ret)
		ret = nic_create(parts, &net, index, nic_transport(config, &net), &candidate->nic,
				 &err);
	if (ret)
		report_error(check, &err);
	else
		report_features(check, candidate->nic);
}

static void release(struct candidate *candidate)
{
	if (candidate->nic) {
		virtio_device_destroy(nic_device(candidate->nic));
		nic_destroy(candidate->nic);
	}
	user_net_destroy(candidate->user);
	fd_close(&candidate->fds[0]);
	fd_close(&candidate->fds[1]);
}

static void check_nets(struct check *check)
{
	const size_t n = check->options->n_nets;
	const struct logger log = {hear, check};
	struct nic_parts parts = {.mem = &check->mem, .log = &log};
	struct candidate *candidates;
	struct error err;

	if (!n)
		return;
	check->subject = "net";
	candidates = calloc(n, sizeof(*candidates));
	if (!candidates)
		error_cause(&err, -ENOMEM);
	if (!candidates || loop_create(&parts.loop, &err)) {
		report_error(check, &err);
		free(candidates);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		candidates[i].fds[0] = candidates[i].fds[1] = -1;
		check_net(check, (unsigned int)i, &parts, &candidates[i]);
	}
	for (size_t i = 0; i < n; i++)
		release(&candidates[i]);
	loop_destroy(parts.loop);
	free(candidates);
}

bool check_run(const struct options *options)
{
	struct check check = {.options = options, .mem.fd = -1};
	struct error err;
	int ret = try_sandbox(&options->jail, &err);

	if (ret > 0)
		return true;
	if (options->json) {
		check.findings = json_array();
		check.devices = json_array();
	}
	report_sandbox(&check, ret, &err);
	check_kvm(&check);
	check_memory(&check);
	check_kernel(&check);
	check_file(&check, "console", options->console_file);
	check_file(&check, "timeline", options->timeline_file);
	check_control(&check, options->config.control);
	check_nets(&check);
	memory_destroy(&check.mem);
	if (check.findings) {
		json_t *all = json_pack("{s:b,s:o,s:o}", "ok", !check.problems, "findings",
					check.findings, "devices", check.devices);

		json_dumpf(all, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(all);
	}
	return !check.problems;
}
