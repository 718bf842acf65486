import jakarta.ws.rs.container.ContainerRequestContext;
import jakarta.ws.rs.container.ContainerRequestFilter;
import jakarta.ws.rs.core.Response;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import org.apache.directory.scim.core.repository.DefaultPatchHandler;
import org.apache.directory.scim.core.repository.RepositoryRegistry;
import org.apache.directory.scim.core.schema.SchemaRegistry;
import org.apache.directory.scim.server.rest.ScimpleFeature;
import org.apache.directory.scim.server.rest.UserResourceImpl;
import org.apache.directory.scim.spec.resources.ScimUser;
import org.glassfish.grizzly.http.server.HttpServer;
import org.glassfish.grizzly.strategies.SameThreadIOStrategy;
import org.glassfish.hk2.utilities.binding.AbstractBinder;
import org.glassfish.jersey.grizzly2.httpserver.GrizzlyHttpServerFactory;
import org.glassfish.jersey.server.ResourceConfig;
import org.glassfish.jersey.server.ServerProperties;

/**
 * Apache SCIMple as a contender: its own JAX-RS resource on Jersey and Grizzly, with one thread that reads, answers and
 * writes, which is the fastest for handlers that never wait.
 */
public final class Contender {
    public static void main(String[] arguments) throws Exception {
        SchemaRegistry schemas = new SchemaRegistry();
        RepositoryRegistry repositories = new RepositoryRegistry(schemas);
        repositories.registerRepository(ScimUser.class, new People(new DefaultPatchHandler(schemas), schemas));
        // SCIMple's parser of phone numbers complains there about each one.
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        ResourceConfig application = new ResourceConfig()
            .property(ServerProperties.WADL_FEATURE_DISABLE, true)
            .register(ScimpleFeature.class)
            // One for all requests: its constructor is expensive, and with CDI it is application-scoped as well.
            .register(new UserResourceImpl(schemas, repositories))
            .register((ContainerRequestFilter) Contender::refuseWithoutToken)
            .register(new AbstractBinder() {
                @Override
                protected void configure() {
                    bind(schemas).to(SchemaRegistry.class);
                }
            });
        URI address = URI.create("http://127.0.0.1:" + arguments[0] + "/scim/v2/");
        HttpServer server = GrizzlyHttpServerFactory.createHttpServer(address, application, false);
        server.getListeners().forEach(listener -> {
            listener.getTransport().setSelectorRunnersCount(1);
            listener.getTransport().setIOStrategy(SameThreadIOStrategy.getInstance());
            listener.getKeepAlive().setMaxRequestsCount(-1);
        });
        server.start();
        Thread.currentThread().join();
    }

    private static void refuseWithoutToken(ContainerRequestContext request) {
        String header = request.getHeaderString("Authorization");
        if (header == null || !header.startsWith("Bearer ")) {
            request.abortWith(Response.status(Response.Status.UNAUTHORIZED).build());
        }
    }

    private Contender() {
    }
}
