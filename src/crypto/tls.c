/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls.h"

#include "base/alloc.h"
#include "crypto/private_file.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct qn_tls_config {
    _Atomic int64_t n_refs;
    SSL_CTX *context;
};

/* The session is an SSL object and nothing else. */
static SSL *ssl_of(const qn_tls *tls)
{
    return (SSL *)(uintptr_t)tls;
}

static const char *reason(void)
{
    const unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    return text ? text : "not what was expected";
}

static qn_status fail(const char *path, const char *what, qn_error *err)
{
    qn_fail(err, QN_ERR_DATA, "%s: %s (%s)", path, what, reason());
    ERR_clear_error();
    return QN_ERR_DATA;
}

/* A key with a passphrase would have OpenSSL ask for it on the terminal. */
static int no_passphrase(char *out, int room, int writing, void *data)
{
    (void)out;
    (void)room;
    (void)writing;
    (void)data;
    return -1;
}

static bool set_protocols(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* clients keep tickets */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set_session_id_context(context, (const unsigned char *)"quern", 5) == 1;
}

/* What is sent is chosen by us, so that "h2" is never agreed on. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                           const unsigned char *offered, unsigned int n, void *data)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)data;
    const int found = SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_bytes, ours,
                                            sizeof ours - 1, offered, n);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static qn_status load_files(SSL_CTX *context, const qn_tls_files *files, qn_error *err)
{
    if (SSL_CTX_use_certificate_chain_file(context, files->certificate) != 1) {
        return fail(files->certificate, "no certificate in PEM can be read from it", err);
    }
    QN_TRY(qn_private_file_check(files->key, err));
    if (SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1) {
        return fail(files->key, "no key of the certificate, in PEM and without a passphrase", err);
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        return fail(files->key, "the key is not the certificate's", err);
    }
    if (!files->client_ca) return QN_OK;
    if (SSL_CTX_load_verify_file(context, files->client_ca) != 1) {
        return fail(files->client_ca, "no certificates in PEM can be read from it", err);
    }
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files->client_ca));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return QN_OK;
}

qn_status qn_tls_config_create(const qn_tls_files *files, qn_tls_config **out, qn_error *err)
{
    *out = NULL;
    ERR_clear_error();
    qn_tls_config *config = qn_alloc_array(1, sizeof *config);
    if (!config) return qn_fail(err, QN_ERR_NOMEM, "no memory for TLS");
    atomic_init(&config->n_refs, 1);
    config->context = SSL_CTX_new(TLS_server_method());
    qn_status status = QN_OK;
    if (!config->context || !set_protocols(config->context)) {
        status = fail(files->certificate, "TLS cannot be set up", err);
    } else {
        SSL_CTX_set_alpn_select_cb(config->context, choose_protocol, NULL);
        status = load_files(config->context, files, err);
    }
    if (status != QN_OK) {
        qn_tls_config_unref(config);
        return status;
    }
    *out = config;
    return QN_OK;
}

/* Where systems keep the certificates of all authorities in one file: Debian; Red Hat; SUSE; Alpine
 * and BSD. OpenSSL's own place is asked first. */
static bool load_system_authorities(SSL_CTX *context)
{
    const char *const files[] = {getenv(X509_get_default_cert_file_env()),
                                 X509_get_default_cert_file(),
                                 "/etc/ssl/certs/ca-certificates.crt",
                                 "/etc/pki/tls/certs/ca-bundle.crt",
                                 "/etc/ssl/ca-bundle.pem",
                                 "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i] && SSL_CTX_load_verify_file(context, files[i]) == 1) return true;
    }
    return false;
}

qn_status qn_tls_client_config_create(const char *ca, qn_tls_config **out, qn_error *err)
{
    *out = NULL;
    ERR_clear_error();
    qn_tls_config *config = qn_alloc_array(1, sizeof *config);
    if (!config) return qn_fail(err, QN_ERR_NOMEM, "no memory for TLS");
    atomic_init(&config->n_refs, 1);
    config->context = SSL_CTX_new(TLS_client_method());
    qn_status status = QN_OK;
    if (!config->context || !set_protocols(config->context)) {
        status = fail("https", "TLS cannot be set up", err);
    } else if (ca && SSL_CTX_load_verify_file(config->context, ca) != 1) {
        status = fail(ca, "no certificates in PEM can be read from it", err);
    } else if (!ca && !load_system_authorities(config->context)) {
        status = qn_fail(err, QN_ERR_DATA,
                         "https: the system's authorities are not found; name "
                         "a file of certificates in PEM");
        ERR_clear_error();
    }
    if (status != QN_OK) {
        qn_tls_config_unref(config);
        return status;
    }
    ERR_clear_error();
    SSL_CTX_set_verify(config->context, SSL_VERIFY_PEER, NULL);
    *out = config;
    return QN_OK;
}

qn_tls_config *qn_tls_config_ref(qn_tls_config *config)
{
    atomic_fetch_add_explicit(&config->n_refs, 1, memory_order_relaxed);
    return config;
}

void qn_tls_config_unref(qn_tls_config *config)
{
    if (!config || atomic_fetch_sub_explicit(&config->n_refs, 1, memory_order_acq_rel) != 1) return;
    SSL_CTX_free(config->context);
    qn_free(config);
}

qn_tls *qn_tls_open(const qn_tls_config *config, int fd)
{
    SSL *ssl = SSL_new(config->context);
    if (ssl && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl) SSL_set_accept_state(ssl);
    ERR_clear_error();
    return (qn_tls *)ssl;
}

static bool expect_host(SSL *ssl, const char *host, bool is_address)
{
    if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    /* What SSL_set_tlsext_host_name() does, without its cast that some compilers warn of. */
    void *name = (void *)(uintptr_t)host;
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
}

qn_tls *qn_tls_connect(const qn_tls_config *config, int fd, const char *host, bool is_address)
{
    SSL *ssl = SSL_new(config->context);
    if (ssl && (SSL_set_fd(ssl, fd) != 1 || !expect_host(ssl, host, is_address))) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl) SSL_set_connect_state(ssl);
    ERR_clear_error();
    return (qn_tls *)ssl;
}

/* After a call that gave `result`. The thread's queue of errors must be empty before each call. */
static qn_io what_next(const SSL *ssl, int result)
{
    const int code = SSL_get_error(ssl, result);
    ERR_clear_error();
    if (code == SSL_ERROR_WANT_READ) return QN_IO_WANTS_READ;
    if (code == SSL_ERROR_WANT_WRITE) return QN_IO_WANTS_WRITE;
    return QN_IO_ENDED;
}

qn_io qn_tls_handshake(qn_tls *tls)
{
    const int result = SSL_do_handshake(ssl_of(tls));
    return result == 1 ? QN_IO_DONE : what_next(ssl_of(tls), result);
}

qn_io qn_tls_read(qn_tls *tls, void *out, size_t room, size_t *bytes)
{
    const int result = SSL_read_ex(ssl_of(tls), out, room, bytes);
    return result == 1 ? QN_IO_DONE : what_next(ssl_of(tls), result);
}

qn_io qn_tls_write(qn_tls *tls, const void *data, size_t bytes, size_t *written)
{
    const int result = SSL_write_ex(ssl_of(tls), data, bytes, written);
    return result == 1 ? QN_IO_DONE : what_next(ssl_of(tls), result);
}

size_t qn_tls_pending(const qn_tls *tls)
{
    return (size_t)SSL_pending(ssl_of(tls));
}

bool qn_tls_client_name(const qn_tls *tls, char *out, size_t room)
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl_of(tls));
    if (!certificate) return false;
    const int n = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, out,
                                            (int)room);
    return n > 0 && strlen(out) == (size_t)n;
}

void qn_tls_end(qn_tls *tls)
{
    if (SSL_is_init_finished(ssl_of(tls))) (void)SSL_shutdown(ssl_of(tls));
    ERR_clear_error();
}

void qn_tls_close(qn_tls *tls)
{
    SSL_free(ssl_of(tls));
}
