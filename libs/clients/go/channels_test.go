// What the client says to a server of the test's own: credentials, tries, and the move to another stream.
package sesior

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"sesior/internal/sessionpb"
)

type server struct {
	sessionpb.UnimplementedSessionServiceServer
	mutex   sync.Mutex
	calls   int
	answer  func(call int) error
	token   []string
	name    string // in the client's certificate
	streams int
}

func (s *server) GetSession(ctx context.Context, _ *sessionpb.GetSessionRequest) (*sessionpb.GetSessionResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.calls++
	data, _ := metadata.FromIncomingContext(ctx)
	s.token = data.Get("authorization")
	if caller, ok := peer.FromContext(ctx); ok {
		if info, ok := caller.AuthInfo.(credentials.TLSInfo); ok {
			s.name = info.State.PeerCertificates[0].Subject.CommonName
		}
	}
	if s.answer != nil {
		if err := s.answer(s.calls); err != nil {
			return nil, err
		}
	}
	return &sessionpb.GetSessionResponse{Session: &sessionpb.Session{SessionId: "s", Revision: 1}}, nil
}

// The first stream is told to go elsewhere; what is known on the second comes without the session.
func (s *server) WatchSessions(stream sessionpb.SessionService_WatchSessionsServer) error {
	s.mutex.Lock()
	s.streams++
	number := s.streams
	s.mutex.Unlock()
	for {
		request, err := stream.Recv()
		if err != nil {
			return nil
		}
		for _, add := range request.GetAdd() {
			event := &sessionpb.WatchSessionsResponse_Event{WatchId: add.GetWatchId(), Kind: sessionpb.WatchEventKind_WATCH_EVENT_KIND_CURRENT}
			if add.GetKnownRevision() == 0 {
				event.Session = &sessionpb.Session{SessionId: "s", Revision: 7}
			}
			response := &sessionpb.WatchSessionsResponse{Events: []*sessionpb.WatchSessionsResponse_Event{event}, GoAway: number == 1}
			if number == 2 {
				again := &sessionpb.WatchSessionsResponse_Event{
					WatchId: add.GetWatchId(), Kind: sessionpb.WatchEventKind_WATCH_EVENT_KIND_UPDATED,
					Session: &sessionpb.Session{SessionId: "s", Revision: add.GetKnownRevision() + 1},
				}
				response.Events = append(response.Events, again)
			}
			if stream.Send(response) != nil {
				return nil
			}
		}
	}
}

func (s *server) serve(t *testing.T, options ...grpc.ServerOption) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rpc := grpc.NewServer(options...)
	sessionpb.RegisterSessionServiceServer(rpc, s)
	go rpc.Serve(listener)
	t.Cleanup(rpc.Stop)
	return listener.Addr().String()
}

func clientOf(t *testing.T, options Options) *Client {
	client, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestRepeatsUnavailableOnly(t *testing.T) {
	for _, try := range []struct {
		code     codes.Code
		failures int
		calls    int
		last     codes.Code
	}{
		{codes.Unavailable, 2, 3, codes.OK},
		{codes.Unavailable, 9, 3, codes.Unavailable},
		{codes.Internal, 1, 1, codes.Internal},
		{codes.ResourceExhausted, 1, 1, codes.ResourceExhausted},
		{codes.Aborted, 1, 1, codes.Aborted},
	} {
		s := &server{answer: func(call int) error {
			if call <= try.failures {
				return status.Error(try.code, "no")
			}
			return nil
		}}
		client := clientOf(t, Options{Addresses: []string{s.serve(t)}, MaxTries: 3, Timeout: 30 * time.Second})
		_, err := client.Session(context.Background(), ID("s"))
		if status.Code(err) != try.last || s.calls != try.calls {
			t.Errorf("%v %d times: %d calls and %v", try.code, try.failures, s.calls, err)
		}
	}
}

func TestADeadlineHoldsForAllTries(t *testing.T) {
	s := &server{answer: func(int) error { return status.Error(codes.Unavailable, "no") }}
	client := clientOf(t, Options{Addresses: []string{s.serve(t)}, MaxTries: 1000, Timeout: 300 * time.Millisecond})
	began := time.Now()
	_, err := client.Session(context.Background(), ID("s"))
	if err == nil || time.Since(began) > 10*time.Second {
		t.Fatal(err, time.Since(began))
	}
}

func TestAWatchMovesWhenItIsToldTo(t *testing.T) {
	s := &server{}
	client := clientOf(t, Options{Addresses: []string{s.serve(t)}})
	watch := client.Watch(context.Background(), ID("s"))
	for _, want := range []Change{{Kind: Current, Session: &Session{Revision: 7}}, {Kind: Updated, Session: &Session{Revision: 8}}} {
		select {
		case change := <-watch.Changes():
			// Had the reader been slow, only the newest would have waited, as the first answer.
			if change.Session.Revision == 8 && change.Kind == Current {
				return
			}
			if change.Kind != want.Kind || change.Session.Revision != want.Session.Revision {
				t.Fatal(change)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no change in time")
		}
	}
}

// A certificate for a name, signed by the parent or by itself, with its key.
func certificate(t *testing.T, name string, parent *tls.Certificate) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: parent == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signer, signingKey := template, any(key)
	if parent != nil {
		signer, signingKey = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signingKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestShowsItsCertificateAndItsToken(t *testing.T) {
	ca := certificate(t, "ca", nil)
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.Leaf)
	s := &server{}
	address := s.serve(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{*certificate(t, "session.test", ca)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
	})))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine := &tls.Config{RootCAs: trusted, ServerName: "session.test", Certificates: []tls.Certificate{*certificate(t, "reports", ca)}}
	client := clientOf(t, Options{Addresses: []string{address}, TLS: mine, Token: TokenFile(file), Timeout: 20 * time.Second})
	for _, token := range []string{"first", "second"} {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Session(context.Background(), ID("s")); err != nil {
			t.Fatal(err)
		}
		if len(s.token) != 1 || s.token[0] != "Bearer "+token || s.name != "reports" {
			t.Fatal(s.token, s.name)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Session(context.Background(), ID("s")); !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for what, config := range map[string]*tls.Config{
		"no certificate":  {RootCAs: trusted, ServerName: "session.test"},
		"another name":    {RootCAs: trusted, ServerName: "other.test", Certificates: mine.Certificates},
		"no trust at all": {ServerName: "session.test", Certificates: mine.Certificates},
	} {
		client := clientOf(t, Options{Addresses: []string{address}, TLS: config, MaxTries: 1})
		if _, err := client.Session(context.Background(), ID("s")); err == nil {
			t.Error(what + ", and it was let in")
		}
	}
}
