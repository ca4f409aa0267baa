/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Macros for the probes. A statement that does not hold is an error in every compiler and dialect,
 * never a warning. So warnings in the kernel's own headers decide nothing, however strict its
 * flags.
 */
#ifndef _HV_VSS_PROBE_H
#define _HV_VSS_PROBE_H

struct hv_vss_none { int none; };

/* @expr has the type @type. */
#define IS_OF_TYPE(expr, ...) \
	extern char hv_vss_is_of_type \
		[__builtin_types_compatible_p(__typeof__(expr), __VA_ARGS__) ? 1 : -1]

/* A member (the last argument) of a structure, for IS_OF_TYPE(). */
#define MEMBER(type, ...)	(((type *)0)->__VA_ARGS__)

/* Structure @type has no @member, else this one would have it twice. Needs -fms-extensions. */
#define HAS_NO_MEMBER(type, member) \
	struct hv_vss_has_no_##member { type; struct hv_vss_none member; }

/* There is no function of this name: if there were, this would contradict it. */
#define IS_NO_FUNCTION(name)	struct hv_vss_none name(struct hv_vss_none)

/* There is no type of this name: if there were, no variable could have it. */
#define IS_NO_TYPE(name)	extern struct hv_vss_none name

#endif /* _HV_VSS_PROBE_H */
