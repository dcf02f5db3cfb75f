/*
 * libcurl's variadic setters and getters, one typed function per argument type; no policy. What
 * each does is in curl_easy_setopt(3), curl_easy_getinfo(3) and libcurl-errors(3).
 *
 * No header of the system is included but stdint.h: libcurl's own pull in the types of pthreads and
 * sockets, which Swift would then take for this module's and not for Glibc's, in every module that
 * imports both. ccurl.c checks that the numbers here are those of curl.h.
 */
#ifndef LIFEBOAT_CCURL_H
#define LIFEBOAT_CCURL_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/* A CURL *, a struct curl_slist * and a struct curl_sockaddr *. */
typedef struct ccurl_handle ccurl_handle;
typedef struct ccurl_list ccurl_list;
typedef struct ccurl_address ccurl_address;

enum ccurl_option {
  CCURLOPT_BUFFERSIZE = 98,
  CCURLOPT_CAINFO = 10065,
  CCURLOPT_CAPATH = 10097,
  CCURLOPT_CLOSESOCKETDATA = 10209,
  CCURLOPT_CONNECT_ONLY = 141,
  CCURLOPT_CONNECTTIMEOUT_MS = 156,
  CCURLOPT_CUSTOMREQUEST = 10036,
  CCURLOPT_ERRORBUFFER = 10010,
  CCURLOPT_FOLLOWLOCATION = 52,
  CCURLOPT_HEADERDATA = 10029,
  CCURLOPT_HEADERFUNCTION = 20079,
  CCURLOPT_HTTPGET = 80,
  CCURLOPT_HTTPHEADER = 10023,
  CCURLOPT_HTTP_VERSION = 84,
  CCURLOPT_KEYPASSWD = 10026,
  CCURLOPT_MAXCONNECTS = 71,
  CCURLOPT_NOBODY = 44,
  CCURLOPT_NOPROGRESS = 43,
  CCURLOPT_NOPROXY = 10177,
  CCURLOPT_NOSIGNAL = 99,
  CCURLOPT_OPENSOCKETDATA = 10164,
  CCURLOPT_PATH_AS_IS = 234,
  CCURLOPT_POST = 47,
  CCURLOPT_POSTFIELDS = 10015,
  CCURLOPT_POSTFIELDSIZE_LARGE = 30120,
  CCURLOPT_PREREQDATA = 10313,
  CCURLOPT_PROTOCOLS_STR = 10318,
  CCURLOPT_PROXY_CAINFO = 10246,
  CCURLOPT_PROXY_CAPATH = 10247,
  CCURLOPT_SSLCERT = 10025,
  CCURLOPT_SSLKEY = 10087,
  CCURLOPT_SSL_ENABLE_ALPN = 226,
  CCURLOPT_SSL_VERIFYHOST = 81,
  CCURLOPT_SSL_VERIFYPEER = 64,
  CCURLOPT_SUPPRESS_CONNECT_HEADERS = 265,
  CCURLOPT_TCP_KEEPALIVE = 213,
  CCURLOPT_TCP_KEEPIDLE = 214,
  CCURLOPT_TCP_KEEPINTVL = 215,
  CCURLOPT_TCP_NODELAY = 121,
  CCURLOPT_UPLOAD_BUFFERSIZE = 280,
  CCURLOPT_URL = 10002,
  CCURLOPT_USERAGENT = 10018,
  CCURLOPT_WRITEDATA = 10001,
  CCURLOPT_WRITEFUNCTION = 20011,
  CCURLOPT_XFERINFODATA = 10057,
};

enum ccurl_code {
  CCURLE_AGAIN = 81,
  CCURLE_BAD_CONTENT_ENCODING = 61,
  CCURLE_COULDNT_CONNECT = 7,
  CCURLE_COULDNT_RESOLVE_HOST = 6,
  CCURLE_COULDNT_RESOLVE_PROXY = 5,
  CCURLE_GOT_NOTHING = 52,
  CCURLE_HTTP2 = 16,
  CCURLE_HTTP2_STREAM = 92,
  CCURLE_OK = 0,
  CCURLE_OPERATION_TIMEDOUT = 28,
  CCURLE_PARTIAL_FILE = 18,
  CCURLE_PEER_FAILED_VERIFICATION = 60,
  CCURLE_PROXY = 97,
  CCURLE_RECV_ERROR = 56,
  CCURLE_SEND_ERROR = 55,
  CCURLE_SEND_FAIL_REWIND = 65,
  CCURLE_SSL_CACERT_BADFILE = 77,
  CCURLE_SSL_CERTPROBLEM = 58,
  CCURLE_SSL_CONNECT_ERROR = 35,
  CCURLE_UNSUPPORTED_PROTOCOL = 1,
  CCURLE_URL_MALFORMAT = 3,
  CCURLE_WEIRD_SERVER_REPLY = 8,
};

enum { CCURL_HTTP_VERSION_2TLS = 4, CCURL_ERROR_SIZE = 256, CCURL_NO_SOCKET = -1 };

/* Returns how many bytes it took; fewer than size * count end the transfer. */
typedef size_t (*ccurl_data_callback)(
    char *data, size_t size, size_t count, void *_Nullable context);
/* Other than 0 ends the transfer; so for the next one. */
typedef int (*ccurl_progress_callback)(
    void *_Nullable context, int64_t down_total, int64_t down_now, int64_t up_total,
    int64_t up_now);
typedef int (*ccurl_ready_callback)(
    void *_Nullable context, char *_Nullable peer, char *_Nullable local, int peer_port,
    int local_port);
/* Returns the socket, or CCURL_NO_SOCKET. */
typedef int (*ccurl_open_callback)(void *_Nullable context, int purpose, ccurl_address *address);
typedef int (*ccurl_close_callback)(void *_Nullable context, int socket);

/* curl_global_init(3): once in a process, before anything else here. 0 for success. */
int ccurl_global_start(void);
ccurl_handle *_Nullable ccurl_new(void);
void ccurl_free(ccurl_handle *handle);
void ccurl_reset(ccurl_handle *handle);

enum ccurl_code ccurl_set_long(ccurl_handle *handle, enum ccurl_option option, long value);
enum ccurl_code ccurl_set_offset(ccurl_handle *handle, enum ccurl_option option, int64_t value);
/* libcurl copies the text; NULL means none. */
enum ccurl_code ccurl_set_text(
    ccurl_handle *handle, enum ccurl_option option, const char *_Nullable value);
enum ccurl_code ccurl_set_pointer(
    ccurl_handle *handle, enum ccurl_option option, const void *_Nullable value);
enum ccurl_code ccurl_set_list(
    ccurl_handle *handle, enum ccurl_option option, ccurl_list *_Nullable value);
enum ccurl_code ccurl_set_data_callback(
    ccurl_handle *handle, enum ccurl_option option, ccurl_data_callback value);
enum ccurl_code ccurl_set_progress_callback(ccurl_handle *handle, ccurl_progress_callback value);
enum ccurl_code ccurl_set_ready_callback(ccurl_handle *handle, ccurl_ready_callback value);
enum ccurl_code ccurl_set_open_callback(ccurl_handle *handle, ccurl_open_callback value);
enum ccurl_code ccurl_set_close_callback(ccurl_handle *handle, ccurl_close_callback value);

/* Blocks until the transfer has ended. */
enum ccurl_code ccurl_perform(ccurl_handle *handle);
/* Of the reply that came last; 0 when none came. */
long ccurl_status(ccurl_handle *handle);
const char *ccurl_message(enum ccurl_code code);

/* For a handle whose ccurl_perform, with CCURLOPT_CONNECT_ONLY, succeeded: curl_easy_send(3) and
 * curl_easy_recv(3), which do not wait. CCURLE_AGAIN: wait for the socket and call again. Received
 * bytes can lie inside TLS while the socket is not readable: receive first, then wait. */
enum ccurl_code ccurl_send(
    ccurl_handle *handle, const void *bytes, size_t count, size_t *sent);
enum ccurl_code ccurl_receive(
    ccurl_handle *handle, void *buffer, size_t count, size_t *received);
/* CCURL_NO_SOCKET when it is gone. */
int ccurl_socket(ccurl_handle *handle);
/* The errno of the last connect(2) that failed; 0 when none did. */
int ccurl_connect_errno(ccurl_handle *handle);

/* The list with a copy of the text at its end; NULL, the list untouched, for want of memory. */
ccurl_list *_Nullable ccurl_append(ccurl_list *_Nullable list, const char *text);
void ccurl_free_list(ccurl_list *_Nullable list);

/* What libcurl does when no callbacks for sockets are set, with close-on-exec. */
int ccurl_open_socket(const ccurl_address *address);
int ccurl_close_socket(int socket);
/* shutdown(2) of both directions. */
int ccurl_shut_down_socket(int socket);

#pragma clang assume_nonnull end

#endif
