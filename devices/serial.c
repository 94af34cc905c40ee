/* SPDX-License-Identifier: Apache-2.0 */
/* Section numbers are those of National Semiconductor's PC16550D data sheet (June 1995). */
#include "devices/serial.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "vmm/core/fd.h"

/* Registers (table II). */
enum {
	REG_DATA = 0, /* RBR, THR; with DLAB: DLL */
	REG_IER = 1,  /* with DLAB: DLM */
	REG_IIR = 2,  /* when written: FCR */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

enum {
	IER_RECEIVED = 1 << 0,
	IER_TRANSMITTER_EMPTY = 1 << 1,
	IER_LINE_STATUS = 1 << 2,
	IER_MODEM_STATUS = 1 << 3,
	IER_MASK = 0x0f,
};

/* Section 8.5, by falling priority. */
enum {
	IIR_LINE_STATUS = 0x06,
	IIR_RECEIVED = 0x04,
	IIR_TIMEOUT = 0x0c,
	IIR_TRANSMITTER_EMPTY = 0x02,
	IIR_MODEM_STATUS = 0x00,
	IIR_NONE = 0x01,
	IIR_FIFOS_ENABLED = 0xc0,
};

enum {
	FCR_ENABLE = 1 << 0,
	FCR_CLEAR_RECEIVER = 1 << 1,
	FCR_TRIGGER_SHIFT = 6,
};

enum {
	LCR_DLAB = 1 << 7,
};

enum {
	MCR_DTR = 1 << 0,
	MCR_RTS = 1 << 1,
	MCR_OUT1 = 1 << 2,
	MCR_OUT2 = 1 << 3,
	MCR_LOOP = 1 << 4,
	MCR_MASK = 0x1f,
};

enum {
	LSR_DATA_READY = 1 << 0,
	LSR_OVERRUN = 1 << 1,
	LSR_BREAK = 1 << 4,
	LSR_THR_EMPTY = 1 << 5,
	LSR_TRANSMITTER_EMPTY = 1 << 6,
	LSR_FIFO_ERROR = 1 << 7,
};

enum {
	MSR_DELTA_CTS = 1 << 0,
	MSR_DELTA_DSR = 1 << 1,
	MSR_TRAILING_RI = 1 << 2,
	MSR_DELTA_DCD = 1 << 3,
	MSR_CTS = 1 << 4,
	MSR_DSR = 1 << 5,
	MSR_RI = 1 << 6,
	MSR_DCD = 1 << 7,
};

enum {
	FIFO_SIZE = 16,
	DIVISOR_9600 = 12,
	/* So many looks at the line status in vain: the guest polls for input. */
	POLLS = 16,
};

static const unsigned int trigger_levels[] = {1, 4, 8, 14};

struct serial {
	struct serial_line line;
	int irq_fd;
	pthread_mutex_t lock; /* for all below */

	uint8_t dll, dlm, ier, lcr, mcr, scr;
	uint8_t msr_delta;
	bool fifos_enabled;
	unsigned int trigger;

	struct {
		uint8_t data;
		uint8_t errors; /* LSR_BREAK or 0; for the program when it is the next to be read */
	} fifo[FIFO_SIZE];
	unsigned int head, count;
	bool overrun;	       /* in loopback only: input from outside waits for room */
	bool break_pending;    /* arrived, but there was no room yet */
	bool transmitter_news; /* the THR became empty and the guest has not been told */
	bool irq_active;       /* the level of the interrupt line */

	bool input_waits;   /* serial_input() took less than it was given */
	bool rts_used;	    /* the guest drives RTS, so it means something */
	unsigned int polls; /* LSR reads that no transmission explains, see POLLS */
};

/* What is to be done when the lock is free again. */
struct actions {
	bool irq;
	bool room;
};

struct serial *serial_create(const struct serial_line *line, int irq_fd)
{
	struct serial *serial = calloc(1, sizeof(*serial));

	if (!serial)
		return NULL;
	if (pthread_mutex_init(&serial->lock, NULL)) {
		free(serial);
		return NULL;
	}
	serial->line = *line;
	serial->irq_fd = irq_fd;
	serial->dll = DIVISOR_9600;
	serial->trigger = trigger_levels[0];
	return serial;
}

void serial_destroy(struct serial *serial)
{
	if (!serial)
		return;
	pthread_mutex_destroy(&serial->lock);
	free(serial);
}

/* --- all of these are called with the lock held --- */

static unsigned int capacity(const struct serial *serial)
{
	return serial->fifos_enabled ? FIFO_SIZE : 1;
}

static void fifo_push(struct serial *serial, uint8_t data, uint8_t errors)
{
	unsigned int tail = (serial->head + serial->count++) % FIFO_SIZE;

	serial->fifo[tail].data = data;
	serial->fifo[tail].errors = errors;
}

/*
 * A driver clears the FIFOs and reads the data register while it starts, and what a UART has
 * received by then is lost. Nothing needs to be: the other end of our line can wait until the guest
 * means to receive. It does when it has the interrupt enabled or polls; and when it drives RTS
 * (Linux: on opening the port, and for hardware flow control), that must be active.
 */
static bool listening(const struct serial *serial)
{
	if (serial->mcr & MCR_LOOP)
		return false;
	if (serial->rts_used && !(serial->mcr & MCR_RTS))
		return false;
	return serial->ier & IER_RECEIVED || serial->polls >= POLLS;
}

static unsigned int input_space(const struct serial *serial)
{
	if (!listening(serial) || serial->break_pending || serial->count >= capacity(serial))
		return 0;
	return capacity(serial) - serial->count;
}

/* Section 8.8; the other end of the line is there and ready, always. */
static uint8_t modem_lines(const struct serial *serial)
{
	unsigned int lines = 0;

	if (!(serial->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (serial->mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (serial->mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (serial->mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (serial->mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return (uint8_t)lines;
}

/* Line errors that the program has not read yet. */
static uint8_t line_errors(const struct serial *serial)
{
	uint8_t errors = serial->overrun ? LSR_OVERRUN : 0;

	if (serial->count > 0)
		errors |= serial->fifo[serial->head].errors;
	return errors;
}

/* The enabled cause of highest priority (section 8.5). */
static uint8_t cause(const struct serial *serial)
{
	if (serial->ier & IER_LINE_STATUS && line_errors(serial))
		return IIR_LINE_STATUS;
	if (serial->ier & IER_RECEIVED && serial->count > 0) {
		/* No next byte within four characters' time, and a character takes no time:
		 * below the trigger level it is the time-out at once (section 8.10). */
		return serial->fifos_enabled && serial->count < serial->trigger ? IIR_TIMEOUT
										: IIR_RECEIVED;
	}
	if (serial->ier & IER_TRANSMITTER_EMPTY && serial->transmitter_news)
		return IIR_TRANSMITTER_EMPTY;
	if (serial->ier & IER_MODEM_STATUS && serial->msr_delta)
		return IIR_MODEM_STATUS;
	return IIR_NONE;
}

/*
 * After every change: bring what follows from the state up to date. The interrupt pin is
 * edge-triggered, so a rising level is all that counts.
 */
static struct actions update(struct serial *serial)
{
	struct actions actions = {0};
	bool active;

	if (serial->break_pending && listening(serial) && serial->count < capacity(serial)) {
		serial->break_pending = false;
		fifo_push(serial, 0, LSR_BREAK);
	}
	/* Half empty: time to refill before the guest has read the rest. */
	if (serial->input_waits && input_space(serial) > 0 &&
	    serial->count <= capacity(serial) / 2) {
		serial->input_waits = false;
		actions.room = true;
	}
	active = cause(serial) != IIR_NONE;
	actions.irq = active && !serial->irq_active;
	serial->irq_active = active;
	return actions;
}

static uint8_t read_data(struct serial *serial)
{
	uint8_t data = serial->fifo[serial->head].data;

	if (serial->count == 0)
		return 0;
	serial->head = (serial->head + 1) % FIFO_SIZE;
	serial->count--;
	return data;
}

static uint8_t read_iir(struct serial *serial)
{
	uint8_t value = cause(serial);

	/* Reading acknowledges the transmitter's interrupt if that is what it says (table III). */
	if (value == IIR_TRANSMITTER_EMPTY) {
		serial->transmitter_news = false;
		/* If another cause is left, it gets an edge of its own. */
		serial->irq_active = false;
	}
	return serial->fifos_enabled ? value | IIR_FIFOS_ENABLED : value;
}

static uint8_t read_lsr(struct serial *serial)
{
	unsigned int value = LSR_THR_EMPTY | LSR_TRANSMITTER_EMPTY | line_errors(serial);

	if (serial->count > 0)
		value |= LSR_DATA_READY;
	for (unsigned int i = 0; serial->fifos_enabled && i < serial->count; i++) {
		if (serial->fifo[(serial->head + i) % FIFO_SIZE].errors)
			value |= LSR_FIFO_ERROR;
	}
	/* Reading clears the errors (section 8.3). */
	serial->overrun = false;
	serial->fifo[serial->head].errors = 0;
	if (serial->polls < POLLS)
		serial->polls++;
	return (uint8_t)value;
}

static uint8_t read_register(struct serial *serial, uint64_t reg)
{
	bool dlab = serial->lcr & LCR_DLAB;
	uint8_t value;

	switch (reg) {
	case REG_DATA:
		return dlab ? serial->dll : read_data(serial);
	case REG_IER:
		return dlab ? serial->dlm : serial->ier;
	case REG_IIR:
		return read_iir(serial);
	case REG_LCR:
		return serial->lcr;
	case REG_MCR:
		return serial->mcr;
	case REG_LSR:
		return read_lsr(serial);
	case REG_MSR:
		value = modem_lines(serial) | serial->msr_delta;
		serial->msr_delta = 0;
		return value;
	default:
		return serial->scr;
	}
}

static void write_ier(struct serial *serial, uint8_t value)
{
	/* The transmitter is always empty: whoever starts to ask is told at once. Linux's driver
	 * starts to transmit by this and tests for it. */
	if (value & IER_TRANSMITTER_EMPTY && !(serial->ier & IER_TRANSMITTER_EMPTY))
		serial->transmitter_news = true;
	serial->ier = value & IER_MASK;
}

static void write_fcr(struct serial *serial, uint8_t value)
{
	bool enable = value & FCR_ENABLE;

	/*
	 * Changing the mode clears the receiver (section 8.4). But not so when FIFOs are switched
	 * on: Linux does that after it has enabled the interrupt, and a byte could be there.
	 */
	if ((serial->fifos_enabled && !enable) || (enable && value & FCR_CLEAR_RECEIVER))
		serial->count = 0;
	serial->fifos_enabled = enable;
	/* Other bits count only together with the enable bit. */
	serial->trigger = trigger_levels[enable ? value >> FCR_TRIGGER_SHIFT : 0];
}

static void write_mcr(struct serial *serial, uint8_t value)
{
	uint8_t before = modem_lines(serial), changed;

	serial->mcr = value & MCR_MASK;
	if (!(value & MCR_LOOP) && value & MCR_RTS)
		serial->rts_used = true;
	changed = before ^ modem_lines(serial);
	if (changed & MSR_CTS)
		serial->msr_delta |= MSR_DELTA_CTS;
	if (changed & MSR_DSR)
		serial->msr_delta |= MSR_DELTA_DSR;
	if (changed & before & MSR_RI)
		serial->msr_delta |= MSR_TRAILING_RI;
	if (changed & MSR_DCD)
		serial->msr_delta |= MSR_DELTA_DCD;
}

/* A byte to the transmitter. Returns true if it leaves the UART. */
static bool write_data(struct serial *serial, uint8_t value)
{
	if (serial->polls > 0)
		serial->polls--;
	serial->transmitter_news = false;
	if (!(serial->mcr & MCR_LOOP))
		return true;
	if (serial->count < capacity(serial))
		fifo_push(serial, value, 0);
	else
		serial->overrun = true;
	serial->transmitter_news = true;
	return false;
}

/* Returns true if the byte is to be sent. */
static bool write_register(struct serial *serial, uint64_t reg, uint8_t value)
{
	bool dlab = serial->lcr & LCR_DLAB;

	if (reg == REG_DATA && !dlab)
		return write_data(serial, value);
	/* Whoever sets the UART up starts anew and is not polling any more. */
	if (reg != REG_SCR)
		serial->polls = 0;
	switch (reg) {
	case REG_DATA:
		serial->dll = value;
		break;
	case REG_IER:
		if (dlab)
			serial->dlm = value;
		else
			write_ier(serial, value);
		break;
	case REG_IIR:
		write_fcr(serial, value);
		break;
	case REG_LCR:
		serial->lcr = value;
		break;
	case REG_MCR:
		write_mcr(serial, value);
		break;
	case REG_SCR:
		serial->scr = value;
		break;
	default:
		/* LSR and MSR are for reading. */
		break;
	}
	return false;
}

/* --- from here on the lock is free --- */

static void unlock_and_act(struct serial *serial)
{
	struct actions actions = update(serial);

	pthread_mutex_unlock(&serial->lock);
	if (actions.irq)
		fd_eventfd_signal(serial->irq_fd);
	if (actions.room)
		serial->line.input_room(serial->line.opaque);
}

static void serial_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	struct serial *serial = device;

	/* A wide access is that many narrow ones, as an 8-bit device on a PC's bus sees it. */
	for (unsigned int i = 0; i < len; i++) {
		pthread_mutex_lock(&serial->lock);
		data[i] = read_register(serial, offset + i);
		unlock_and_act(serial);
	}
}

static void serial_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct serial *serial = device;

	for (unsigned int i = 0; i < len; i++) {
		bool send;

		pthread_mutex_lock(&serial->lock);
		send = write_register(serial, offset + i, data[i]);
		unlock_and_act(serial);
		if (!send)
			continue;
		serial->line.output(serial->line.opaque, data[i]);
		/* Only now, so that a slow reader slows the guest's interrupts too. */
		pthread_mutex_lock(&serial->lock);
		serial->transmitter_news = true;
		unlock_and_act(serial);
	}
}

const struct bus_ops serial_bus_ops = {
	.read = serial_read,
	.write = serial_write,
};

size_t serial_input_space(struct serial *serial)
{
	unsigned int space;

	pthread_mutex_lock(&serial->lock);
	space = input_space(serial);
	if (space == 0)
		serial->input_waits = true;
	pthread_mutex_unlock(&serial->lock);
	return space;
}

size_t serial_input(struct serial *serial, const uint8_t *data, size_t len)
{
	size_t taken = 0;

	pthread_mutex_lock(&serial->lock);
	while (taken < len && input_space(serial) > 0)
		fifo_push(serial, data[taken++], 0);
	if (taken < len)
		serial->input_waits = true;
	unlock_and_act(serial);
	return taken;
}

void serial_break(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	serial->break_pending = true;
	unlock_and_act(serial);
}
