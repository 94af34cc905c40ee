/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `xvmm ctl` with a VM that is well, while one of its own calls fails: it prints the whole answer,
 * or says why not, and which of both in its exit status. XVMM and GUESTS are set as for the system
 * tests, SHIM to the shim, PHASE to start.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "tests/system/process.h"
#include "tests/system/qmp.h"

static struct plan *plan;
static struct process vm, ctl;
static char control[64];

static void start_vm(void)
{
	const char *const argv[] = {need_env("XVMM"), "--kernel", guest_path("spin"),
				    "--memory",	      "32M",	  "--control",
				    control,	      NULL};

	process_start(&vm, argv, -1);
	close(qmp_connect(control));
}

static int run_ctl(void)
{
	char preload[4096];
	const char *const argv[] = {"/usr/bin/env",  preload, need_env("XVMM"), "ctl", control,
				    "query-version", NULL};

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", need_env("SHIM"));
	atomic_store(&plan->phase, PHASE_START);
	process_start(&ctl, argv, -1);
	return process_wait(&ctl);
}

START_TEST(test_fault)
{
	int status, code;

	snprintf(control, sizeof(control), "/tmp/xvmm-ctl-test.%d", (int)getpid());
	start_vm();
	faults_arm(_i);
	status = run_ctl();
	code = faults_code();
	kill(vm.pid, SIGKILL);
	waitpid(vm.pid, NULL, 0);
	unlink(control);
	if (status == 0) {
		/* The last of what there is to say. */
		ck_assert_msg(strstr(ctl.text, "\"xvmm ") && strstr(ctl.text, "\n}\n"),
			      "only this (%s): %s", faults_text(), ctl.text);
	} else {
		ck_assert_msg(status == 1 && code, "status %d (%s): %s", status, faults_text(),
			      ctl.text);
		ck_assert_msg(strstr(ctl.text, strerror(code)) || strstr(ctl.text, "memory") ||
				      strstr(ctl.text, "nobody listens") ||
				      strstr(ctl.text, "permission denied") ||
				      strstr(ctl.text, "closed the connection"),
			      "it doesn't say why (%s): %s", faults_text(), ctl.text);
	}
	faults_count(!code ? NOT_REACHED : status == 0 ? TOLERATED : TOLD);
}
END_TEST

int main(void)
{
	require_kvm();
	plan = faults_create();
	return faults_run("faults of xvmm ctl", test_fault);
}
