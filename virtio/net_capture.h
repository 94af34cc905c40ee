/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A net backend that writes down the packets between a datapath and another backend, in a file that
 * Wireshark and tcpdump open: pcap (draft-ietf-opsawg-pcap), little-endian, times in nanoseconds,
 * Ethernet. A packet is as the guest sees it, without the virtio-net header: one that is to be
 * segmented is one record, and one whose checksum is still to be filled in has a wrong one. Those
 * that the guest's filters take away are there, too.
 *
 * It has no thread: a ring's writes the record of its packet, and waits for the disk where it must,
 * or for another ring's. A write that fails ends the capture, not the network; then the last record
 * may be cut short.
 */
#ifndef VIRTIO_NET_CAPTURE_H
#define VIRTIO_NET_CAPTURE_H

#include <stdbool.h>

struct error;
struct logger;
struct net_backend;
struct net_capture_file;
struct opener;

/*
 * Open @path to write a capture to: a regular file, which is made if it isn't there, emptied if it
 * is, and locked so that there is one capture in it at a time (-EBUSY); or a pipe or device, which
 * is not waited for. Not by a symbolic link (-ELOOP). A non-blocking, close-on-exec descriptor, the
 * caller's; or what open() gives.
 */
int net_capture_open(const char *path, struct error *err);

/* A new capture in @path, opened so by @opener. @log outlives it. *@file is the caller's. */
int net_capture_file_create(const char *path, const struct opener *opener, const struct logger *log,
			    struct net_capture_file **file, struct error *err);

/*
 * Several backends write to one file while a device moves from one attachment to another; the last
 * one closes it. By one thread at a time. Release accepts NULL.
 */
struct net_capture_file *net_capture_file_share(struct net_capture_file *file);
void net_capture_file_release(struct net_capture_file *file);

/*
 * Whether a write has failed, which has ended the capture. Then its file is closed, so that a new
 * one can be begun there. By the thread that opens.
 */
bool net_capture_file_has_ended(struct net_capture_file *file);

/* Its path, as it was given; valid as long as it lives. */
const char *net_capture_file_path(const struct net_capture_file *file);

/*
 * A backend before @inner, which is taken over, also on failure, as is a share of @file. NULL if
 * there is no memory; else the caller's, to release.
 */
struct net_backend *net_capture_create(struct net_capture_file *file, struct net_backend *inner);

#endif
